"""Of many processes on a node that need the same artefact, one makes it; the others wait for it, and then read it."""

import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import cache

# Longer than the longest compilation of a start; a build whose turn comes later compiles beside the others.
_LONGEST_S = 900.0
_POLL_S = 0.1
_log = logging.getLogger("pitstop")


@contextmanager
def making(backend: str, key: str | None, longest_s: float = _LONGEST_S) -> Iterator[bool]:
    """Let one process of this node make an artefact inside the block; yield whether this one waited for another.

    A process that dies lets go of it. Nobody waits where the cache cannot be written, or has no locks.
    """
    path = cache.cache_dir() / "making" / f"{backend}-{key}.lock"
    handle, waited = (None, False) if key is None else _first(path, longest_s)
    try:
        yield waited
    finally:
        if handle is not None:
            _let_go(path, handle)


def _first(path: Path, longest_s: float) -> tuple[int | None, bool]:
    """Return the lock, or None where there can be none, and whether it was another's before."""
    name, deadline, told = path.stem[:32], time.monotonic() + longest_s, False
    while True:
        try:
            cache.folder(path.parent.name).mkdir(mode=0o700, exist_ok=True)
            handle = _try(path)
        except OSError as error:
            _log.info("goes on without waiting for other processes: %s", error.strerror or type(error).__name__)
            return None, told
        if handle is not None:
            return handle, told
        if not told:
            _log.info("waits, at most %g s, for another process of this node that makes %s", longest_s, name)
            told = True
        if time.monotonic() > deadline:
            _log.warning("another process still makes %s after %g s, so this one does too", name, longest_s)
            return None, told
        time.sleep(_POLL_S)


def _try(path: Path) -> int | None:
    """Return the locked file; None where another process has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it before has removed it, and another may have made it anew.
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOENT):
            return None
        raise
    os.close(handle)
    return None


def _let_go(path: Path, handle: int) -> None:
    # Removed while it is locked. To close it would not do: a compiler's process may have the file open still.
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)
