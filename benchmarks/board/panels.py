"""The panels of the Grafana board, read as Grafana reads them: variables, legends, units, thresholds, overrides."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from pitstop.report.numbers import precise

from .prometheus import FOLDER

BOARD, SOURCE = FOLDER / "grafana" / "dashboard.json", FOLDER / "grafana" / "datasource.yaml"
# What stands behind a number, by Grafana's name of the unit.
_UNITS = {"short": "", "ms": "ms", "percentunit": "%", "reqps": "req/s"}
_SUFFIX = "suffix:"


class Target(NamedTuple):
    """A query of a panel, and the pattern of its series' names."""

    query: str
    legend: str
    instant: bool


@dataclass(frozen=True)
class Panel:
    """A panel.

    `kind` is row, stat, timeseries or table; `place` has x, y, w and h in the board's grid of 24 columns; `good` is the
    description.
    """

    title: str
    kind: str
    place: Mapping[str, int]
    good: str = ""
    targets: tuple[Target, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    transformations: tuple[Mapping[str, Any], ...] = ()

    @property
    def unit(self) -> str:
        """Return what stands behind its numbers: "" for a plain number."""
        name: str = self.fields["defaults"]["unit"]
        return name.removeprefix(_SUFFIX) if name.startswith(_SUFFIX) else _UNITS[name]

    @property
    def thresholds(self) -> list[tuple[float, str]]:
        """Return the lowest value of each step with its colour, the lowest first."""
        steps = self.fields["defaults"].get("thresholds", {}).get("steps", [])
        return [(float("-inf") if each["value"] is None else each["value"], each["color"]) for each in steps]

    @property
    def custom(self) -> Mapping[str, Any]:
        """Return what its kind alone knows, such as thresholdsStyle."""
        found: Mapping[str, Any] = self.fields["defaults"].get("custom", {})
        return found

    @property
    def whole(self) -> bool:
        """Return whether its numbers have no decimals."""
        return bool(self.fields["defaults"].get("decimals") == 0)

    def properties(self, name: str) -> dict[str, Any]:
        """Return what the overrides set for the series of this name."""
        matching = [each for each in self.fields["overrides"] if _matches(each["matcher"], name)]
        return {found["id"]: found["value"] for each in matching for found in each["properties"]}

    def shown(self, value: float | None) -> str:
        """Return a value with its unit."""
        if value is None:
            return "no data"
        if self.unit == "%":
            return f"{precise(100 * value)} %"
        return f"{value:,.0f} {self.unit}" if self.whole else f"{precise(value)} {self.unit}".rstrip()

    def columns(self, names: Iterable[str]) -> dict[str, str]:
        """Return those columns of a table that are shown, in their order, with what stands above each."""
        options: Mapping[str, Any] = next(
            (each["options"] for each in self.transformations if each["id"] == "organize"), {}
        )
        order, heads = options.get("indexByName", {}), options.get("renameByName", {})
        shown = (name for name in names if not options.get("excludeByName", {}).get(name))
        return {name: heads.get(name, name) for name in sorted(shown, key=lambda name: order.get(name, len(order)))}


def panels() -> list[Panel]:
    """Return the board's panels, rows too, in its order."""
    return [_panel(each) for each in json.loads(BOARD.read_text(encoding="utf-8"))["panels"]]


def interval_s() -> int:
    """Return the seconds between the points of a graph, at a time range as short as the ones here."""
    [source] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))["datasources"]
    return int(source["jsonData"]["timeInterval"].removesuffix("s"))


def filled(text: str, **variables: str) -> str:
    """Return a query or a title with the board's variables replaced: all applications, unless one is named.

    Grafana's own $__rate_interval is the larger of four scrapes, and the interval and a scrape.
    """
    values = {"application": ".*", "__rate_interval": f"{4 * interval_s()}s", **variables}
    for name, value in values.items():
        text = text.replace(f"${name}", value)
    return text


def named(legend: str, labels: Mapping[str, str]) -> str:
    """Return the name of a series, as Grafana makes it of a pattern such as `{{application}} p50`."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), legend).strip()


def _panel(raw: Mapping[str, Any]) -> Panel:
    targets = (
        Target(each["expr"], each.get("legendFormat", ""), each.get("instant", False))
        for each in raw.get("targets", ())
    )
    return Panel(
        raw["title"],
        raw["type"],
        raw["gridPos"],
        raw.get("description", ""),
        tuple(targets),
        raw.get("fieldConfig", {}),
        tuple(raw.get("transformations", ())),
    )


def _matches(matcher: Mapping[str, str], name: str) -> bool:
    if matcher["id"] != "byRegexp":
        raise ValueError(f"{matcher['id']}: the board's overrides match by regular expressions alone")
    return re.search(matcher["options"].strip("/"), name) is not None
