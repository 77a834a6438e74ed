"""A price counts only with its source and its date."""

import datetime
from pathlib import Path

import pytest
import yaml

from configs.prices import SHIPPED, Prices, load_prices
from configs.problems import ConfigError

COMPLETE = {
    "instance": "g6.xlarge", "region": "us-west-2", "accelerator": "L4", "vcpus": 4, "usd_per_hour": 0.8,
    "source": "https://example.com/prices", "date": "2026-11-25",
}  # fmt: skip
CATALOGUE = """
InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone
g6.xlarge,L4,1.0,4.0,16.0,"{'Gpus': [{'Name': 'L4', 'Count': 1}]}",0.8048,0.43,us-east-1,use1-az1
g6.xlarge,L4,1.0,4.0,16.0,"{'Gpus': [{'Name': 'L4', 'Count': 1}]}",0.8048,0.41,us-east-1,use1-az2
g6.xlarge,L4,1.0,4.0,16.0,"{'Gpus': [{'Name': 'L4', 'Count': 1}]}",1.1672,0.47,ap-northeast-1,apne1-az1
c7i.2xlarge,,,8.0,16.0,,0.357,0.15,us-east-1,use1-az1
spot.only,,,8.0,16.0,,,0.15,us-east-1,use1-az1
""".lstrip()
DAY = datetime.date(2026, 11, 25)


def written(folder: Path, *prices: dict[str, object]) -> Path:
    path = folder / "prices.yaml"
    path.write_text(yaml.safe_dump({"prices": list(prices)}))
    return path


def test_the_shipped_prices_are_complete_and_of_one_region() -> None:
    found = load_prices(SHIPPED).prices
    assert {each.region for each in found} == {"us-west-2"}
    assert all(each.source.startswith("https://") for each in found)
    gpus = {each.accelerator for each in found if each.accelerator}
    assert gpus == {"T4", "A10G", "L4", "H100"}


@pytest.mark.parametrize("key", ["source", "date"])
def test_a_price_without_source_or_date_is_refused(tmp_path: Path, key: str) -> None:
    path = written(tmp_path, {name: value for name, value in COMPLETE.items() if name != key})
    with pytest.raises(ConfigError, match=rf"prices.0.{key} is missing: a price without source and date is refused"):
        load_prices(path)


@pytest.mark.parametrize(
    "change, said",
    [({"usd_per_hour": 0}, "usd_per_hour"), ({"source": ""}, "source"), ({"colour": "red"}, "colour")],
)
def test_a_price_that_cannot_be_is_refused_by_its_key(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_prices(written(tmp_path, {**COMPLETE, **change}))


def test_skypilots_catalogue_is_read_once_for_each_region_and_without_spot(tmp_path: Path) -> None:
    (tmp_path / "vms.csv").write_text(CATALOGUE)
    found = load_prices(tmp_path / "vms.csv", "skypilot-catalog at 1234", DAY).prices
    assert [(each.instance, each.region, each.usd_per_hour) for each in found] == [
        ("g6.xlarge", "us-east-1", 0.8048),
        ("g6.xlarge", "ap-northeast-1", 1.1672),
        ("c7i.2xlarge", "us-east-1", 0.357),
    ]
    assert (found[0].accelerator, found[2].accelerator, found[0].date) == ("L4", None, DAY)


@pytest.mark.parametrize("source, date", [(None, DAY), ("there", None)])
def test_a_catalogue_takes_its_source_and_date_from_the_user(
    tmp_path: Path, source: str | None, date: datetime.date | None
) -> None:
    (tmp_path / "vms.csv").write_text(CATALOGUE)
    with pytest.raises(ConfigError, match="without source and date is refused"):
        load_prices(tmp_path / "vms.csv", source, date)


@pytest.mark.parametrize("text, said", [("a,b\n1,2\n", "is not SkyPilot"), ("InstanceType,Price\n", "holds no price")])
def test_another_csv_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "vms.csv").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_prices(tmp_path / "vms.csv", "there", DAY)


def test_an_instance_in_several_regions_needs_one_named(tmp_path: Path) -> None:
    found: Prices = load_prices(written(tmp_path, COMPLETE, {**COMPLETE, "region": "eu-west-1", "usd_per_hour": 0.9}))
    with pytest.raises(ConfigError, match="choose one with --region: eu-west-1, us-west-2"):
        found.find("g6.xlarge", None)
    assert found.find("g6.xlarge", "eu-west-1").usd_per_hour == 0.9
    with pytest.raises(ConfigError, match=r"did you mean 'g6\.xlarge'"):
        found.find("g6xlarge", None)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_prices(tmp_path / "none.yaml")
