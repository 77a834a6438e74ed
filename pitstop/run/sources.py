"""The files whose change deploys again: the config, and the Python files behind each of its models. Polled by mtime.

What counts is the content: a file that is saved as it was, or changed back, deploys nothing.
"""

import hashlib
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from configs.problems import items

# When a file was changed last, and its size; None where there is none.
_Stamps = dict[Path, tuple[int, int] | None]
_Digests = dict[Path, bytes]


class Sources:
    """The files of a config, as they are now, as they were looked at last, and as they were deployed last."""

    def __init__(self, config: Path, raw: Mapping[str, Any]) -> None:
        self._config = config
        self._behind = behind(raw)
        self._stamps = self._now()
        self._settled = self._stamps
        self._looked_at = self._deployed = self._digests()

    def changed(self) -> set[Path]:
        """Return what has changed since it was looked at, once it rests: an editor may write a file in steps."""
        before, self._stamps = self._stamps, self._now()
        if before != self._stamps or self._settled == self._stamps:
            return set()
        self._settled = self._stamps
        return {file for file, digest in self._digests().items() if digest != self._looked_at.get(file)}

    def look(self, raw: Mapping[str, Any] | None) -> None:
        """Take the files as they are now for looked at; where the config could be read, take what it names now."""
        if raw is not None:
            self._behind = behind(raw)
            self._stamps = self._settled = self._now()
        self._looked_at = self._digests()

    def code(self) -> set[str]:
        """Return the applications whose code is not what was deployed."""
        return {
            name
            for name, files in self._behind.items()
            if any(self._looked_at.get(file) != self._deployed.get(file) for file in files)
        }

    def deployed(self) -> None:
        """Take what was looked at for deployed."""
        self._deployed = self._looked_at

    def _now(self) -> _Stamps:
        return {file: _stamp(file) for file in {self._config, *(each for own in self._behind.values() for each in own)}}

    def _digests(self) -> _Digests:
        return {
            file: b"" if (found := _content(file)) is None else hashlib.sha256(found).digest() for file in self._stamps
        }


def behind(raw: Mapping[str, Any]) -> dict[str, set[Path]]:
    """Return the user's Python files behind each application of a config."""
    from models.compile.import_graph import files_of

    importlib.invalidate_caches()
    return {str(app.get("name")): files_of(app.get("args")) for _, app in items(raw, "applications")}


def wrong_syntax(files: Iterable[Path]) -> list[str]:
    """Return a sentence for each file that is no Python."""
    found = []
    for file in sorted(files):
        content = _content(file) if file.suffix == ".py" else None
        if content is not None:
            try:
                compile(content, str(file), "exec", dont_inherit=True)
            except (SyntaxError, ValueError) as error:
                line = getattr(error, "lineno", None)
                what = getattr(error, "msg", None) or str(error)
                found.append(f"{file}{f':{line}' if line else ''}: {what}\nhelp: correct it and save it again")
    return found


def _content(file: Path) -> bytes | None:
    """Return what is in a file; None where there is none, as when an editor is just putting another in its place."""
    try:
        return file.read_bytes()
    except OSError:
        return None


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
