"""What the terminal gets: consoles without pictures, tables without lines and with figures to the right."""

import os
from collections.abc import Collection
from typing import IO, Any

from rich.console import Console
from rich.table import Table


def plain_console(**given: Any) -> Console:
    """Return a console that prints text as it is: rich would make a picture of `:100:`."""
    return Console(emoji=False, highlight=False, **given)


class LastingOutput:
    """A terminal or a pipe that may close: what is written after that is lost, and nobody gets an error."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        try:
            return self._file.write(text)
        except OSError:
            self._closed()
            return len(text)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            self._closed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def _closed(self) -> None:
        # What is still in the buffer goes there too, else Python would fail at its end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._file.fileno())
        os.close(nowhere)


def table(*heads: str, left: Collection[str] = (), gap: int = 2) -> Table:
    """Return a table with these columns. `left` names those of text; `gap` is the number of blanks between two."""
    found = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for head in heads:
        found.add_column(head, justify="left" if head in left else "right")
    return found
