"""What Prometheus answers to the queries of each panel, as the board asks them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .panels import Panel, filled, named, panels
from .prometheus import Prometheus, Span


@dataclass(frozen=True)
class Series:
    """A line of a graph, or a row of a table: its name, labels, and a value for each time, one in a table."""

    name: str
    labels: Mapping[str, str]
    values: Sequence[float | None]

    @property
    def known(self) -> list[float]:
        return [each for each in self.values if each is not None]

    @property
    def last(self) -> float | None:
        """Return the last value that is known, as Grafana's stat shows it."""
        return self.known[-1] if self.known else None

    @property
    def peak(self) -> float | None:
        return max(self.known, default=None)


@dataclass(frozen=True)
class Answers:
    """The board's panels in its order, rows too, with their series; and what was replaced for $source."""

    source: str
    devices: list[str]
    span: Span
    panels: list[tuple[Panel, list[Series]]]

    def title(self, panel: Panel) -> str:
        return filled(panel.title, source=self.source)

    @property
    def without_data(self) -> list[Panel]:
        return [each for each, series in self.panels if each.targets and not any(one.known for one in series)]

    def as_json(self) -> dict[str, Any]:
        shown = [(panel, series) for panel, series in self.panels if panel.targets]
        return {
            "source": self.source,
            "devices": self.devices,
            "span": self.span._asdict(),
            "panels": [
                {
                    "title": panel.title,
                    "unit": panel.unit,
                    "series": [{"name": each.name, "labels": each.labels, "values": each.values} for each in series],
                }
                for panel, series in shown
            ],
        }


def answered(asked: Prometheus, span: Span) -> Answers:
    """Ask every query of the board for a span of time."""
    info = [each["metric"] for each in asked.ask("ray_pitstop_info")]
    [source] = {each["source"] for each in info}
    found = [(panel, _series(asked, panel, span, source)) for panel in panels()]
    return Answers(source, sorted({each["device"] for each in info}), span, found)


def _series(asked: Prometheus, panel: Panel, span: Span, source: str) -> list[Series]:
    found = []
    for target in panel.targets:
        query = filled(target.query, source=source)
        if target.instant:
            now = [(each["metric"], [float(each["value"][1])]) for each in asked.ask(query)]
            found += [
                Series(", ".join(f"{key}={value}" for key, value in labels.items()), labels, values)
                for labels, values in now
            ]
        else:
            ranged = asked.ask_range(query, span)
            found += [Series(named(target.legend, labels), labels, values) for labels, values in ranged]
    return found
