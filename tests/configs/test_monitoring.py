"""The rules and the board of configs/monitoring: accepted by Prometheus, of metrics that exist, each alert tested."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.board.panels import BOARD, panels
from benchmarks.board.prometheus import CONFIG, FOLDER, RULES
from deployments.core import errors
from pitstop.project import PROJECT
from tests.metric_names import made, of_ray
from tests.monitoring import board, metrics_in, operands, rules, tool

TESTS = PROJECT / "tests" / "configs" / "rules_test.yml"
# What Prometheus makes of a counter and of a histogram.
_MADE_OF = re.compile(r"_(?:total|bucket|sum|count)$")


@pytest.mark.parametrize(
    "arguments", [("check", "config", CONFIG), ("check", "rules", RULES), ("test", "rules", TESTS)]
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str | Path, ...]) -> None:
    done = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [case for each in yaml.safe_load(TESTS.read_text())["tests"] for case in each.get("alert_rule_test", ())]
    names = {each.where for each in rules("alert")}
    assert {each["alertname"] for each in cases if each.get("exp_alerts")} == names
    assert {each["alertname"] for each in cases if not each.get("exp_alerts")} == names


def test_every_metric_of_board_and_rules_is_made_here_or_by_ray_or_recorded() -> None:
    recorded = {each.where for each in rules("record")}
    ours, theirs = {f"ray_{each.name}" for each in made()}, {f"ray_{name}" for name in of_ray()}
    asked = {name for each in [*board(), *rules("record"), *rules("alert")] for name in metrics_in(each.query)}
    assert len(asked) > 20
    known = recorded | ours | theirs | {"up"}
    assert {name for name in asked if name not in known and _MADE_OF.sub("", name) not in known} == set()


def test_the_errors_that_are_the_clients_own_are_those_of_status_4xx_and_of_pages_but_for_the_timeout() -> None:
    [query] = [each.query for each in rules("record") if each.where == "pitstop:server_errors:rate5m"]
    [kinds] = re.findall(r'kind!~"([\w|]+)"', query)
    found = (getattr(errors, name) for name in dir(errors))
    classes = [each for each in found if isinstance(each, type) and issubclass(each, errors.ServeError)]
    clients = {each.kind for each in classes if each.status < 500 and each is not errors.TimedOut}
    assert set(kinds.split("|")) == clients | {errors.PAGE_REFUSED}


def test_both_sides_of_an_alert_s_comparison_are_operands() -> None:
    assert operands("a > on (b, c) max by (b, c) (ray_d)") == ["max by (b, c) (ray_d)"]
    assert operands("pitstop:a / ray_b > 0.05") == ["pitstop:a / ray_b"]
    assert all(operands(each.query) for each in rules("alert"))


def test_every_file_that_the_containers_get_is_there_and_every_image_has_a_version() -> None:
    services: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    volumes = [volume for each in services.values() for volume in each["volumes"]]
    mounted = [each.split(":")[0] if isinstance(each, str) else each["source"] for each in volumes]
    assert [name for name in mounted if name.startswith("./") and not (FOLDER / name).is_file()] == []
    assert all(re.search(r":v?\d+\.\d+\.\d+$", each["image"]) for each in services.values())


def test_the_board_reads_the_data_source_that_is_provisioned_and_has_a_row_for_each_subject() -> None:
    [source] = yaml.safe_load((FOLDER / "grafana" / "datasource.yaml").read_text())["datasources"]
    raw = json.loads(BOARD.read_text())["panels"]
    asked = {each["datasource"]["uid"] for each in raw if each["type"] != "row"}
    assert asked == {source["uid"]}
    titles = [each["title"] for each in raw if each["type"] == "row"]
    assert titles == ["Replicas", "Traffic", "Latency", "Batches", "GPU and CPU replicas of $source"]
    assert len({each["id"] for each in raw}) == len(raw)


def test_every_panel_has_a_unit_and_says_what_is_good() -> None:
    shown = [each for each in panels() if each.kind != "row"]
    # A table has columns of many kinds.
    assert [each.title for each in shown if not each.unit and each.kind != "table"] == []
    assert [each.title for each in shown if "Good: " not in each.good] == []
    assert all(target.legend for each in shown for target in each.targets if each.kind != "table")


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for place in (each.place for each in panels())
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_the_rules_are_the_spec_of_a_prometheus_rule_as_the_page_on_kubernetes_makes_one() -> None:
    text = "".join(f"  {line}" for line in RULES.read_text().splitlines(keepends=True))
    assert yaml.safe_load(f"spec:\n{text}")["spec"] == yaml.safe_load(RULES.read_text())
