"""The files whose change deploys again: the config, and the Python files behind each of its models. Polled by mtime."""

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from configs.problems import items

# When a file was changed last, and its size; None where there is none.
_Stamps = dict[Path, tuple[int, int] | None]


class Sources:
    """The files of a config, as they were when it was deployed last."""

    def __init__(self, config: Path, raw: Mapping[str, Any]) -> None:
        self._config = config
        self._behind = behind(raw)
        self._known = self._seen = self._stamps()

    def changed(self) -> set[Path]:
        """Return what has changed, once it has rested for a poll: an editor may write a file in several steps."""
        before, self._seen = self._seen, self._stamps()
        if before != self._seen:
            return set()
        return {file for file, stamp in self._seen.items() if stamp != self._known.get(file)}

    def take(self, raw: Mapping[str, Any] | None) -> None:
        """Take the files as they are now for known; where the config could be read, look at what it names now."""
        if raw is not None:
            self._behind = behind(raw)
        self._known = self._seen = self._stamps()

    def models_of(self, files: Iterable[Path]) -> set[str]:
        """Return the applications whose code is in these files."""
        given = set(files)
        return {name for name, own in self._behind.items() if own & given}

    def _stamps(self) -> _Stamps:
        return {file: _stamp(file) for file in {self._config, *(each for own in self._behind.values() for each in own)}}


def behind(raw: Mapping[str, Any]) -> dict[str, set[Path]]:
    """Return the user's Python files behind each application of a config."""
    from models.compile.import_graph import files_of

    importlib.invalidate_caches()
    return {str(app.get("name")): files_of(app.get("args")) for _, app in items(raw, "applications")}


def wrong_syntax(files: Iterable[Path]) -> list[str]:
    """Return a sentence for each file that is no Python."""
    found = []
    for file in sorted(files):
        if file.suffix == ".py" and file.is_file():
            try:
                compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
            except (SyntaxError, ValueError) as error:
                line = getattr(error, "lineno", None)
                what = getattr(error, "msg", None) or str(error)
                found.append(f"{file}{f':{line}' if line else ''}: {what}\nhelp: correct it and save it again")
    return found


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
