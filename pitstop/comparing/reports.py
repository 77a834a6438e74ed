"""Writes a comparison: its figures as JSON, and a folder with the page, the picture and the same figures."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from ..load import write as write_json
from ..loading.trouble import LoadError
from ..measure import results
from .comparison import Comparison
from .page import page
from .price_only import PriceOnly
from .view import view


def write(found: Comparison | PriceOnly, file: Path | None, folder: Path | None, console: Console) -> None:
    """Write what was asked for; raise LoadError where that cannot be."""
    record: dict[str, Any] = {**results.head(["pitstop", *sys.argv[1:]]), **found.as_json()}
    if file is not None:
        write_json(file, record)
    if folder is None:
        return
    picture = _picture(found) if record["costs"] else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        results.write(folder, "compare", record, png=picture)
        target = folder / "compare.html"
        target.write_text(page(view(found), picture, record), encoding="utf-8")
    except OSError as error:
        raise LoadError(f"{folder}: cannot be written ({error.strerror})", "name another folder") from error
    console.print(f"report: {target}", soft_wrap=True)


def _picture(found: Comparison | PriceOnly) -> bytes:
    try:
        from .plot import png

        return png(found)
    except ImportError as error:
        raise LoadError("matplotlib is not installed", "pip install matplotlib, or leave out --report") from error
