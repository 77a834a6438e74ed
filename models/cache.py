"""The cache folder of downloads and compiled artefacts, and its bound, $PITSTOP_CACHE_GIB.

After a write, the least recently used files are removed until the folder is within the bound. A process holds a shared
lock on every file that it uses, and a file is removed only under an exclusive lock: so several processes can share the
cache, and the files of a running replica stay.
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
# Locks on the files that this process uses, by path; they end with the process.
_used: dict[Path, int] = {}


def cache_dir() -> Path:
    return Path(os.environ.get("PITSTOP_CACHE") or Path.home() / ".cache" / "pitstop")


def folder(name: str) -> Path:
    """Return a folder of the cache. Only its owner may use the cache: whoever can write there can run code here."""
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
    """Mark a file as used, and keep it as long as this process lives; return False if it is gone."""
    if path not in _used:
        lock = _lock(path)
        if lock is None:
            return False
        _used[path] = lock
    with suppress(OSError):  # Another user's file is locked, but its time cannot be set.
        os.utime(path)
    return True


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other processes from removing a file inside the block."""
    lock = _lock(path)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def used_bytes() -> int:
    return sum(size for _, _, size in _files())


def shrink(newest: Path) -> None:
    """Remove the least recently used files until the cache is within its bound; `newest` and files in use stay.

    An invalid bound gets a warning and the default: it must not end a start that has already compiled.
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
    # Files are only removed from these folders: PITSTOP_CACHE may name a folder with other things in it.
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
    """Return an open, locked handle; None if the file is gone, also if it went while this waited for the lock."""
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
