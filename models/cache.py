"""The cache folder of downloads and compiled artefacts, and its bound, $PITSTOP_CACHE_GIB.

After a write the files that were not used for longest are removed until the folder is within the bound. What a
process uses it holds a shared lock on; a file is removed only under an exclusive one, so several processes at once
are safe, and the files of a replica that runs stay.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from configs.backends import BACKENDS

from .errors import ModelError

VARIABLE = "PITSTOP_CACHE_GIB"
_DEFAULT_GIB = 20.0
_DOWNLOADS = "files"
_log = logging.getLogger("pitstop")
# Locks of what this process uses, by path; they end with the process.
_used: dict[Path, int] = {}


def cache_dir() -> Path:
    return Path(os.environ.get("PITSTOP_CACHE") or Path.home() / ".cache" / "pitstop")


def folder(name: str) -> Path:
    """Return a folder of the cache. The cache is made for its owner alone: who writes there can run code here."""
    cache_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    return cache_dir() / name


def bound_gib() -> float:
    """Return how large the cache may grow, in GiB."""
    text = os.environ.get(VARIABLE, "")
    try:
        gib = float(text) if text else _DEFAULT_GIB
    except ValueError:
        gib = -1.0
    if not 0 < gib < float("inf"):
        raise ModelError(f"{VARIABLE}: {text!r} is not a number of GiB above 0\nhelp: such as {VARIABLE}=20")
    return gib


def use(path: Path) -> bool:
    """Note that a file is used now and keep it for as long as this process lives; False where it is gone."""
    if path not in _used:
        lock = _lock(path)
        if lock is None:
            return False
        _used[path] = lock
    with suppress(OSError):  # Another user's file is kept in its place all the same.
        os.utime(path)
    return True


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep a file from being removed by other processes meanwhile."""
    lock = _lock(path)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def used_bytes() -> int:
    return sum(size for _, _, size in _files())


def shrink(newest: Path) -> None:
    """Remove what was not used for longest until the cache is within its bound; `newest` and what is in use stay.

    A bound that is none is worth a warning and the default: a start, which has compiled by now, does not end here.
    """
    gib, files = _bound_or_default(), sorted(_files())
    bound = gib * 2**30
    total = sum(size for _, _, size in files)
    for _, path, size in files:
        if total <= bound:
            return
        if path != newest and _remove(path):
            total -= size
            _log.info("cache: removed %s, %s is %g GiB", path, VARIABLE, gib)
    if total > bound:
        _log.warning("cache: %s has %.1f GiB in use, %s allows %g", cache_dir(), total / 2**30, VARIABLE, gib)


def _bound_or_default() -> float:
    try:
        return bound_gib()
    except ModelError as error:
        _log.warning("%s\nThe default of %g GiB is used.", error, _DEFAULT_GIB)
        return _DEFAULT_GIB


def _files() -> list[tuple[float, Path, int]]:
    """Return when each file was used last, its path and its size in bytes."""
    files = []
    # Only in these folders is anything ever removed: PITSTOP_CACHE may name one that holds other things as well.
    folders = [_DOWNLOADS, *(each.name for each in BACKENDS.values() if each.artefact)]
    for path in (each for name in folders for each in (cache_dir() / name).rglob("*")):
        with suppress(OSError):  # Removed by another process since it was listed.
            if path.is_file() and not path.is_symlink():
                stat = path.stat()
                files.append((stat.st_mtime, path, stat.st_size))
    return files


def _remove(path: Path) -> bool:
    """Remove a file that nobody uses; return whether it is gone."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return not path.exists()
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # A download's own folder; others are not empty.
            path.parent.rmdir()
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def _lock(path: Path) -> int | None:
    """Return an open, locked handle; None where the file is gone, or was removed while the lock was waited for."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    with suppress(OSError):  # A file system without locks.
        fcntl.flock(handle, fcntl.LOCK_SH)
    try:
        same = os.fstat(handle).st_ino == path.stat().st_ino
    except OSError:
        same = False
    if same:
        return handle
    os.close(handle)
    return None
