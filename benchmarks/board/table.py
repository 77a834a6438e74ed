"""The board as Markdown: each panel's series with their last and their highest value, and what has no data."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pitstop.measure.results import told
from pitstop.report.markdown import table

from .answers import Answers
from .load import BURST

_HEADS = ["panel", "unit", "what is good", "series", "last value", "peak"]


def markdown(record: Mapping[str, Any], found: Answers, picture: str) -> str:
    """Return the page; `record` is what the JSON holds, `picture` the PNG's name."""
    lines = [
        "# The Grafana board under load",
        "",
        told(record),
        "",
        f"    {record['command']}",
        "",
        "A Prometheus scraped `serve_config.yaml` (two applications of one network) as `configs/monitoring` says. The "
        "picture is drawn from its answers to the board's own queries by this command, not by Grafana: places, titles, "
        "units, legends, thresholds and descriptions are the board's.",
        "",
        _load(record),
        "",
        without_data(found),
        "",
        f"![The board, drawn from Prometheus's answers]({picture})",
        "",
        *table(_HEADS, _rows(found), "llllrr"),
    ]
    return "\n".join(lines)


def without_data(found: Answers) -> str:
    """Say which panels have no data, and what the last row cannot compare."""
    names = [found.title(each) for each in found.without_data]
    said = f"Panels without data: {', '.join(names)}." if names else "Every panel has data."
    if found.devices == ["cpu"]:
        said += " There was no GPU: the last row, GPU and CPU, compares two applications on the CPU."
    return said


def _load(record: Mapping[str, Any]) -> str:
    phases = ", ".join(
        f"{each['name']} for {each['seconds']:g} s ({each['digits_rps']} and {each['digits_cpu_rps']} a second)"
        for each in record["phases"]
    )
    return (
        f"Requests to `digits` and `digits-cpu`: {phases}. While it is busy, `digits` also gets requests that it "
        f"refuses, and bursts that fill its queue (`pitstop load {' '.join(BURST)}`). Both have "
        f"`user_config: {json.dumps(record['user_config'])}`."
    )


def _rows(found: Answers) -> Iterator[list[str]]:
    for panel, series in found.panels:
        head = [found.title(panel), panel.unit, panel.good] if panel.targets else [f"**{found.title(panel)}**", "", ""]
        if not series:
            yield [*head, *(["no data", "", ""] if panel.targets else ["", "", ""])]
        for each in series:
            yield [*head, each.name, panel.shown(each.last), panel.shown(each.peak)]
            head = ["", "", ""]
