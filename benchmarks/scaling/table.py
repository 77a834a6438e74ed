"""The fleets as Markdown, and every input with its source."""

from collections.abc import Iterator, Mapping
from typing import Any

from pitstop.report.markdown import table

_BODIES = {"image_bytes": "an image, 150,528 bytes, binary", "numbers_bytes": "64 numbers as JSON"}


def render(record: Mapping[str, Any]) -> str:
    """Return the whole report."""
    lines = [
        "# How far this goes, calculated",
        "",
        f"Arithmetic on the inputs below, commit {record['commit']}; nothing of this was measured on a cluster. "
        f"Command: `{record['command']}`.",
        "",
        "*Bears* is requests a second for the whole fleet, at the planner's highest load.",
    ]
    for body, what in _BODIES.items():
        fleets = [each for each in record["fleets"] if each["body"] == body]
        lines += ["", f"## A request is {what}", "", *_fleets(fleets)]
    left_behind = [[changes, f"{count:,.0f}"] for changes, count in record["old_proxies"].items()]
    heads = ["changes of replicas a minute", "old HAProxy processes on each node, at most"]
    lines += ["", "## What changes of replicas leave behind", "", *table(heads, left_behind, "rr")]
    inputs = [
        [f"{name}: {each['unit']}", f"{each['value']:,g}", each["kind"], each["source"]]
        for name, each in record["inputs"].items()
    ]
    lines += ["", "## Inputs", "", *table(["input", "value", "kind", "source"], inputs, "lrll")]
    return "\n".join(lines) + "\n"


def _fleets(fleets: list[Mapping[str, Any]]) -> list[str]:
    names = sorted({part["name"] for each in fleets for part in each["parts"]})
    heads = ["asked for", "requests/s", "GPUs", "nodes", *(f"{name} bears" for name in names), "gives out"]
    return table(heads, (list(_fleet(each, names)) for each in fleets))


def _fleet(fleet: Mapping[str, Any], names: list[str]) -> Iterator[str]:
    yield from (fleet["asked"], f"{fleet['rate_rps']:,.0f}", f"{fleet['gpus']:,}", f"{fleet['nodes']:,}")
    bears = {part["name"]: f"{part['bears_rps']:,.0f}" for part in fleet["parts"]}
    yield from (f"**{bears[name]}**" if name in fleet["weak"] else bears[name] for name in names)
    first = fleet["parts"][0]
    yield f"{first['name']}: {first['remedy']}" if fleet["weak"] else f"nothing; next is {first['name']}"
