"""The tables of the terminal: without lines, figures to the right."""

from collections.abc import Collection

from rich.table import Table


def table(*heads: str, left: Collection[str] = (), gap: int = 2) -> Table:
    """Return a table with these columns. `left` names those of text; `gap` is the number of blanks between two."""
    found = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for head in heads:
        found.add_column(head, justify="left" if head in left else "right")
    return found
