"""What machines cost an hour, and the source of each price.

Published prices of one machine differ by a factor of three, so a price without source and date is refused. SkyPilot's
vms.csv catalogues can be read too; the user gives their source and date.
"""

import csv
import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from .problems import ConfigError
from .schema import Strict
from .suggest import advise

SHIPPED = Path(__file__).with_name("prices.yaml")
_HELP = "each price needs instance, region, vcpus, usd_per_hour, source and date"


class Price(Strict):
    """The on-demand price of one machine."""

    instance: str = Field(min_length=1, description="The cloud's name for the machine.")
    region: str = Field(min_length=1, description="The cloud's region, because prices differ.")
    accelerator: str | None = Field(None, description="Its GPU; none by default.")
    vcpus: float = Field(gt=0, description="Its virtual CPUs.")
    usd_per_hour: float = Field(gt=0, description="On-demand price of an hour.")
    source: str = Field(min_length=4, description="Where the price was read: a URL, or a file with its version.")
    date: datetime.date = Field(strict=False, description="The day on which it was read there.")


class Prices(Strict):
    """A file of prices."""

    prices: tuple[Price, ...] = Field(min_length=1, strict=False, description="One entry for each machine and region.")

    def find(self, instance: str, region: str | None) -> Price:
        """Return the price of an instance. Without a region, there must be only one.

        Raises:
            ConfigError: there is none, or more than one.
        """
        found = [each for each in self.prices if each.instance == instance and region in (None, each.region)]
        if not found:
            names = sorted({each.instance for each in self.prices})
            place = f" in {region}" if region else ""
            raise ConfigError(f"there is no price for {instance!r}{place}\nhelp: {advise(instance, names)}")
        if len({each.region for each in found}) > 1:
            regions = ", ".join(sorted({each.region for each in found}))
            raise ConfigError(f"{instance!r} has prices in several regions\nhelp: choose one with --region: {regions}")
        return found[0]


def load_prices(path: Path, source: str | None = None, date: datetime.date | None = None) -> Prices:
    """Read prices from YAML, or from a SkyPilot vms.csv, which takes its `source` and `date` from the caller.

    Raises:
        ConfigError: the file cannot be read, or a price in it is not complete.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read\nhelp: name a YAML of prices or a vms.csv") from error
    if path.suffix == ".csv":
        return _from_skypilot(path, csv.DictReader(text.splitlines()), source, date)
    try:
        return Prices.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML\nhelp: {_HELP}") from error
    except ValidationError as error:
        raise ConfigError(_told(path, error)) from error


def _from_skypilot(
    path: Path, rows: Iterable[Mapping[str, str]], source: str | None, date: datetime.date | None
) -> Prices:
    """Read the machines that have an on-demand price; zones of one region share it."""
    if not source or date is None:
        raise ConfigError(
            f"{path}: a price without source and date is refused\n"
            "help: add --prices-source with the catalogue's commit, and --prices-date"
        )
    found: dict[tuple[str, str], Price] = {}
    try:
        for row in rows:
            if not row["Price"]:
                continue
            price = Price(
                instance=row["InstanceType"], region=row["Region"], accelerator=row["AcceleratorName"] or None,
                vcpus=float(row["vCPUs"]), usd_per_hour=float(row["Price"]), source=source, date=date,
            )  # fmt: skip
            found.setdefault((price.instance, price.region), price)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{path}: is not SkyPilot's vms.csv\nhelp: it has InstanceType, vCPUs, Price, …") from error
    if not found:
        raise ConfigError(f"{path}: holds no price\nhelp: name a SkyPilot vms.csv")
    return Prices(prices=tuple(found.values()))


def _told(path: Path, error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing" and first["loc"][-1] in ("source", "date"):
        return f"{path}: {where} is missing: a price without source and date is refused\nhelp: {_HELP}"
    return f"{path}: {where}: {first['msg']}\nhelp: {_HELP}"
