"""Leaves out candidates that have ended the process of earlier starts, as TorchScript in bf16 does with some networks.

While a start tries a candidate, a file in the cache says so. A process that ends leaves the file behind.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import cache
from .candidates import Candidate

_FOLDER = "starts"
# One start may have been killed for another reason.
_MOST = 2


@contextmanager
def attempt(key: str | None, candidate: Candidate) -> Iterator[bool]:
    """Note that a candidate is tried inside the block; yield whether it may be: not if it ended too many starts.

    Without a key, or where the cache cannot be written, nothing is noted.
    """
    path = _path(key, candidate)
    ended = _ended(path)
    if ended >= _MOST:
        yield False
        return
    _note(path, ended + 1)
    try:
        yield True
    finally:
        if path is not None:
            with suppress(OSError):
                path.unlink()


def _path(key: str | None, candidate: Candidate) -> Path | None:
    # The backend may be a function of the user's, with a path in its name.
    name = "".join(each if each.isalnum() else "-" for each in f"{candidate.backend}-{candidate.precision}")
    return None if key is None else cache.cache_dir() / _FOLDER / f"{key}-{name}.tried"


def _ended(path: Path | None) -> int:
    """Return how many starts have left the file."""
    if path is None:
        return 0
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _note(path: Path | None, count: int) -> None:
    if path is None:
        return
    with suppress(OSError):
        cache.folder(_FOLDER).mkdir(mode=0o700, exist_ok=True)
        path.write_text(str(count), encoding="ascii")
