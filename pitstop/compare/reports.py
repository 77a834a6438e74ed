"""Writes a comparison: its figures as JSON, and a folder with the page, the picture and the same figures."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from ..load.main import write as write_json
from ..measure import results
from ..report import folder
from ..report.render import render
from .comparison import Comparison
from .price_only import PriceOnly
from .view import view


def write(found: Comparison | PriceOnly, file: Path | None, into: Path | None, console: Console) -> None:
    """Write what was asked for.

    Raises:
        LoadError: the file cannot be written.
        ConfigError: the folder cannot be written, or matplotlib is not installed.
    """
    record: dict[str, Any] = {**results.head(["pitstop", *sys.argv[1:]]), **found.as_json()}
    if file is not None:
        write_json(file, record)
    if into is None:
        return
    files: dict[str, Any] = {"compare.json": record}
    if record["costs"]:
        from .plot import png

        files["compare.png"] = png(found)
    folder.write(into, {**files, "compare.html": page(found, files.get("compare.png"), record)})
    if file != results.STDOUT:
        console.print(f"report: {into / 'compare.html'}", soft_wrap=True)


def page(found: Comparison | PriceOnly, picture: bytes | None, record: Mapping[str, Any]) -> str:
    """Return the page; `picture` is None where there is nothing to draw, `record` is the JSON."""
    shown = view(found)
    return render(
        "compare.html.j2",
        title=shown.names,
        command=record["command"],
        made_on=f"client: {results.told(record)}",
        found=shown,
        picture=picture,
    )
