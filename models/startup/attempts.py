"""Leaves out candidates that have ended the process of earlier starts, as TorchScript in bf16 does with some networks.

While a start tries a candidate, a file in the cache says so. A process that ends leaves the file behind, whoever ended
it: so it counts for a day. A build keeps such files for itself, and knows only the crashes of its own run.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

from .. import cache
from .candidates import Candidate

# The folder of a build's own files.
VARIABLE = "PITSTOP_ATTEMPTS"
LEFT_OUT = "it has ended the process twice; the next `pitstop build` tries it again"
# `tried`: compiled and timed. `checked`: warmed and checked, as the fastest. Each has a file, and both count.
Phase = Literal["tried", "checked"]
_FOLDER = "starts"
# One start may have been killed for another reason.
_MOST = 2
_FORGOTTEN_S = 24 * 3600.0
_log = logging.getLogger("pitstop")


@contextmanager
def attempt(key: str | None, of: Candidate | str, phase: Phase = "tried") -> Iterator[bool]:
    """Note that a candidate, or a precision, is tried inside the block; yield whether it may be.

    It may not if it ended too many starts. Without a key, or where the cache cannot be written, nothing is noted.
    """
    if key is None:
        yield True
        return
    paths = {each: _path(key, of, each) for each in get_args(Phase)}
    path = paths[phase]
    if sum(map(_ended, paths.values())) >= _MOST:
        if VARIABLE not in os.environ:
            _log.warning(
                "%s has ended the process of two starts, so it is left out for a day\n"
                "help: to try it again, run `pitstop build`, or remove %s",
                of,
                path.with_suffix(".*"),
            )
        yield False
        return
    _note(path, _ended(path) + 1)
    try:
        yield True
    finally:
        with suppress(OSError):
            path.unlink()


def noted(folder: Path) -> dict[str, str]:
    """Return what the attempts of a build have left in its folder."""
    return {path.name: path.read_text(encoding="ascii") for path in folder.iterdir()}


def _path(key: str, of: Candidate | str, phase: Phase) -> Path:
    given = of if isinstance(of, str) else f"{of.backend}-{of.precision}"
    # The backend may be a function of the user's, with a path in its name.
    name = "".join(each if each.isalnum() else "-" for each in given)
    return Path(os.environ.get(VARIABLE) or cache.cache_dir() / _FOLDER) / f"{key}-{name}.{phase}"


def _ended(path: Path) -> int:
    """Return how many starts have left the file, if the last one did so within a day."""
    try:
        return int(path.read_text(encoding="ascii")) if time.time() - path.stat().st_mtime < _FORGOTTEN_S else 0
    except (OSError, ValueError):
        return 0


def _note(path: Path, count: int) -> None:
    with suppress(OSError):
        if not path.parent.is_dir():
            cache.folder(_FOLDER).mkdir(mode=0o700, exist_ok=True)
        path.write_text(str(count), encoding="ascii")
