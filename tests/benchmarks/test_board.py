"""The board is read as Grafana reads it, and all that Prometheus answers comes into the picture and the table."""

import json
from typing import Any

import pytest

from benchmarks.board import load, picture, table
from benchmarks.board.answers import answered
from benchmarks.board.panels import Panel, filled, interval_s, named, panels
from benchmarks.board.prometheus import Prometheus, Span

SPAN = Span(1000, 1030, 10)
LABELS = {
    "application": "digits",
    "deployment": "Model",
    "device": "cpu",
    "source": "Digits 1a2b3c4d",
    "kind": "timeout",
}


class Fake(Prometheus):
    """Answers every query with one series, that has a value at two of the four times; those of a metric with none."""

    def __init__(self, absent: str = "of nothing") -> None:
        super().__init__("")
        self.absent = absent

    def _asked(self, kind: str, **params: Any) -> list[dict[str, Any]]:
        assert "$" not in params["query"]
        if self.absent in params["query"]:
            return []
        values = {"value": [1030, "1"]} if kind == "query" else {"values": [[1010, "2"], [1020, "NaN"], [1030, "1"]]}
        return [{"metric": LABELS, **values}]


def test_a_series_has_a_value_for_each_time_and_none_where_prometheus_has_none() -> None:
    assert Fake().ask_range("up", SPAN) == [(LABELS, [None, 2.0, None, 1.0])]


def test_variables_and_legends_are_replaced_as_grafana_does() -> None:
    query = 'rate(a{application=~"$application"}[$__rate_interval]) * b{source="$source"}'
    assert interval_s() == 10
    assert filled(query, source="x") == 'rate(a{application=~".*"}[40s]) * b{source="x"}'
    assert named("{{application}} {{ deployment }}: p50", LABELS) == "digits Model: p50"
    assert named("{{application}} {{gone}}", LABELS) == "digits"


@pytest.mark.parametrize(
    "unit, value, expected",
    [
        ("suffix:rows/s", 1234.5, "1,234 rows/s"),
        ("percentunit", 0.051, "5.1 %"),
        ("ms", 0.25, "0.25 ms"),
        ("short", 3.0, "3"),
        ("ms", None, "no data"),
    ],
)
def test_a_value_is_shown_with_its_unit(unit: str, value: float | None, expected: str) -> None:
    assert Panel("x", "stat", {}, fields={"defaults": {"unit": unit}}).shown(value) == expected


def test_a_count_has_no_decimals() -> None:
    fields = {"defaults": {"unit": "suffix:rows", "decimals": 0}}
    assert Panel("x", "stat", {}, fields=fields).shown(2.4) == "2 rows"


def test_a_table_s_columns_are_in_the_board_s_order_without_those_left_out() -> None:
    [panel] = [each for each in panels() if each.kind == "table"]
    assert panel.columns(["Time", "Value", "device", "application"]) == {
        "application": "application",
        "device": "device",
        "Value": "replicas",
    }


def test_targets_and_limits_are_dashed_and_red_and_no_other_series_is() -> None:
    dashed = {
        named(target.legend, LABELS)
        for panel in panels()
        for target in panel.targets
        if "custom.lineStyle" in panel.properties(named(target.legend, LABELS))
    }
    assert dashed == {"digits: p99 target", "digits: target", "digits Model: limit"}


def test_the_table_has_every_panel_and_the_picture_is_drawn(record: dict[str, Any]) -> None:
    found = answered(Fake(), SPAN)
    text = table.markdown(record | _made(found.as_json()), found, "board.png")
    assert all(
        f"| {found.title(each)} | {each.unit} | {each.good} |" in text for each, _ in found.panels if each.targets
    )
    assert "| digits Model: p99 | 1 ms | 2 ms |" in text
    assert "Every panel has data. There was no GPU" in text
    assert json.dumps(found.as_json())
    assert picture.png(found).startswith(b"\x89PNG")


def test_a_panel_without_data_is_named(record: dict[str, Any]) -> None:
    found = answered(Fake(absent="padding"), SPAN)
    assert [each.title for each in found.without_data] == ["Padding"]
    assert "Panels without data: Padding." in table.markdown(record | _made({}), found, "board.png")
    assert picture.png(found).startswith(b"\x89PNG")


def _made(more: dict[str, Any]) -> dict[str, Any]:
    return {"user_config": {}, "phases": [each._asdict() for each in load.PHASES], **more}
