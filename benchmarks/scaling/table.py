"""The fleets as Markdown, and every input with its source."""

from collections.abc import Mapping
from typing import Any

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
        lines += ["", f"## A request is {what}", "", *_fleets(record, body)]
    lines += ["", "## What changes of replicas leave behind", "", *_changes(record)]
    lines += ["", "## Inputs", "", "| input | value | kind | source |", "|---|---:|---|---|"]
    lines += [
        f"| {name}: {each['unit']} | {each['value']:,g} | {each['kind']} | {each['source']} |"
        for name, each in record["inputs"].items()
    ]
    return "\n".join(lines) + "\n"


def _fleets(record: Mapping[str, Any], body: str) -> list[str]:
    found = [each for each in record["fleets"] if each["body"] == body]
    names = sorted({part["name"] for each in found for part in each["parts"]})
    lines = [
        "| asked for | requests/s | GPUs | nodes | " + " | ".join(f"{name} bears" for name in names) + " | gives out |",
        "|---" * (5 + len(names)) + "|",
    ]
    for each in found:
        bears = {part["name"]: part["bears_rps"] for part in each["parts"]}
        cells = [each["asked"], f"{each['rate_rps']:,.0f}", f"{each['gpus']:,}", f"{each['nodes']:,}"]
        cells += [f"**{bears[name]:,.0f}**" if name in each["weak"] else f"{bears[name]:,.0f}" for name in names]
        first = each["parts"][0]
        gives_out = f"{first['name']}: {first['remedy']}" if each["weak"] else f"nothing; next is {first['name']}"
        lines.append("| " + " | ".join([*cells, gives_out]) + " |")
    return lines


def _changes(record: Mapping[str, Any]) -> list[str]:
    lines = ["| changes of replicas a minute | old HAProxy processes on each node, at most |", "|---:|---:|"]
    return lines + [f"| {changes} | {count:,.0f} |" for changes, count in record["old_proxies"].items()]
