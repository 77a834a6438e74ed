"""Writes an audit into a folder: audit.html to read, audit.json for scripts, and a PNG of each model's waterfall."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.document import Document
from configs.problems import ConfigError

from .examine import Examined
from .hardware import Hardware
from .html import page
from .picture import picture


def write(
    folder: Path, audits: Sequence[Examined], document: Document, machine: Hardware, record: Mapping[str, Any]
) -> Path:
    """Write all files and return the path of the page."""
    pictures = [None if each.twin else _drawn(each, machine) for each in audits]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for examined, png in zip(audits, pictures, strict=True):
            if png is not None:
                (folder / f"{examined.case.app.config.name}.png").write_bytes(png)
        text = page(list(zip(audits, pictures, strict=True)), document, machine, str(record["command"]))
        (folder / "audit.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        target = folder / "audit.html"
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{folder}: the report cannot be written ({error.strerror})\nhelp: name another folder"
        ) from error
    return target


def _drawn(examined: Examined, machine: Hardware) -> bytes | None:
    try:
        return picture(examined, machine)
    except ImportError as error:
        raise ConfigError("matplotlib is not installed\nhelp: pip install matplotlib, or leave out --report") from error
