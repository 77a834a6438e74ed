"""The tables of a Markdown report."""

from collections.abc import Iterable, Sequence

_RULES = {"l": "---", "r": "---:"}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> list[str]:
    """Return the lines of a table. `align` has `l` or `r` for each column; without it all are left-aligned."""
    rules = (_RULES[each] for each in align or "l" * len(heads))
    return [row(heads), f"|{'|'.join(rules)}|", *map(row, rows)]


def row(cells: Iterable[str]) -> str:
    """Return one row of a table."""
    return f"| {' | '.join(each.replace('|', '&#124;') for each in cells)} |"
