"""Writes the folder of a report: a page to read, its figures as JSON, and its pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.problems import ConfigError

from ..measure import results


def write(folder: Path, files: Mapping[str, str | bytes | Mapping[str, Any]]) -> None:
    """Write the files by name: text, pictures as bytes, records as JSON.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(_encoded(content))
    except OSError as error:
        raise ConfigError(
            f"{folder}: the report cannot be written ({error.strerror})\nhelp: name another folder"
        ) from error


def _encoded(content: str | bytes | Mapping[str, Any]) -> bytes:
    if isinstance(content, bytes):
        return content
    return (content if isinstance(content, str) else results.text(content)).encode()
