"""The parts of a Markdown report: its tables, and the line that says on what it was measured."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_RULES = {"l": "---", "r": "---:"}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> list[str]:
    """Return the lines of a table. `align` has `l` or `r` for each column; without it all are left-aligned."""
    rules = (_RULES[each] for each in align or "l" * len(heads))
    return [row(heads), f"|{'|'.join(rules)}|", *map(row, rows)]


def row(cells: Iterable[str]) -> str:
    """Return one row of a table."""
    return f"| {' | '.join(each.replace('|', '&#124;') for each in cells)} |"


def conditions(record: Mapping[str, Any]) -> str:
    """Return the sentence on the machine, the versions, the commit, the day and the load before a measurement."""
    parts = [", ".join(_machine(record["hardware"]))]
    if versions := record.get("versions"):
        parts.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    parts += [f"commit {record['commit']}", str(record["date"])[:10]]
    if load_average := record.get("load_average"):
        parts.append(f"load average before: {load_average[0]:.1f}")
    return f"{'; '.join(parts)}."


def _machine(hardware: Mapping[str, Any]) -> Iterator[str]:
    if gpu := hardware.get("gpu"):
        yield gpu
    yield hardware["cpu"]
    yield f"{hardware['cores']} cores"
    if "memory_gib" in hardware:
        yield f"{hardware['memory_gib']:g} GiB"
