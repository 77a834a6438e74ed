"""What the terminal gets: consoles without pictures, tables without lines and with figures to the right."""

from collections.abc import Collection
from typing import Any

from rich.console import Console
from rich.table import Table


def plain_console(**given: Any) -> Console:
    """Return a console that prints text as it is: rich would make a picture of `:100:`."""
    return Console(emoji=False, highlight=False, **given)


def table(*heads: str, left: Collection[str] = (), gap: int = 2) -> Table:
    """Return a table with these columns. `left` names those of text; `gap` is the number of blanks between two."""
    found = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for head in heads:
        found.add_column(head, justify="left" if head in left else "right")
    return found
