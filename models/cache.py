"""The cache folder of downloads and compiled artefacts, and its bound, $PITSTOP_CACHE_GIB.

After a write, the least recently used files are removed until the folder is within the bound. A process holds a shared
lock on every file that it uses, and a file is removed only under an exclusive lock: so several processes can share the
cache, and the files of a running replica stay. A folder among a backend's artefacts, such as an unpacked package, goes
as a whole or not at all: `use` takes one as it takes a file, and one that is being written is `held`.
"""

import fcntl
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR

from configs.backends import BACKENDS

from .errors import ModelError

VARIABLE = "PITSTOP_CACHE_GIB"
HELP = "help: check its free space and permissions, or set PITSTOP_CACHE to another folder"
_DEFAULT_GIB = 20.0
_DOWNLOADS = "files"
# JSON documents beside the artefacts: what earlier starts and builds found.
DOCUMENTS = ("starts", "builds")
_log = logging.getLogger("pitstop")
# Locks on the files that this process uses, by path; they end with the process.
_used: dict[Path, int] = {}


def cache_dir() -> Path:
    return Path(os.environ.get("PITSTOP_CACHE") or Path.home() / ".cache" / "pitstop")


def folder(name: str) -> Path:
    """Return a folder of the cache. Only its owner may use the cache: whoever can write there can run code here."""
    cache_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    return cache_dir() / name


def temporary() -> Path:
    """Return the folder for large temporary files: the system's, or the cache where that has twice the free space."""
    system = Path(tempfile.gettempdir())
    with suppress(OSError):
        ours = folder("").absolute()
        if os.access(ours, os.W_OK) and shutil.disk_usage(ours).free > 2 * shutil.disk_usage(system).free:
            return ours
    return system


def kept_folders() -> list[str]:
    """Return the names of the folders with artefacts and documents, here and in a store."""
    return [*DOCUMENTS, *(each.name for each in BACKENDS.values() if each.artefact)]


def bound_gib(variable: str = VARIABLE, default: float = _DEFAULT_GIB) -> float:
    """Return how large the cache, or what another variable bounds, may grow, in GiB."""
    text = os.environ.get(variable, "")
    try:
        gib = float(text) if text else default
    except ValueError:
        gib = -1.0
    if not 0 < gib < float("inf"):
        raise ModelError(f"{variable}: {text!r} is not a number of GiB above 0\nhelp: such as {variable}={default:g}")
    return gib


def use(path: Path) -> bool:
    """Mark a file or a folder as used, and keep it as long as this process lives; return False if it is gone."""
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
    """Keep other processes from removing a file or a folder inside the block."""
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
        if path != newest and path not in newest.parents and _remove(path):
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
    """Return when each file, or folder that goes as a whole, was used last, its path and its size in bytes."""
    found = []
    # Files are only removed from these folders: PITSTOP_CACHE may name a folder with other things in it.
    downloads = (cache_dir() / _DOWNLOADS).rglob("*")
    for path in [*downloads, *(each for name in kept_folders() for each in (cache_dir() / name).glob("*"))]:
        with suppress(OSError):  # Removed by another process since it was listed.
            if path.is_symlink() or (path.is_dir() and path.is_relative_to(cache_dir() / _DOWNLOADS)):
                continue
            stats = [each.lstat() for each in _within(path)]
            sizes = [stat.st_size for stat in stats if not S_ISDIR(stat.st_mode)]
            found.append((max(stat.st_mtime for stat in stats), path, sum(sizes)))
    return found


def _within(path: Path) -> list[Path]:
    """Return a path and all below it, without following links."""
    return [path, *(path.rglob("*") if path.is_dir() else ())]


def _remove(path: Path) -> bool:
    """Remove a file, or a folder with all in it, that nobody uses; return whether it is gone."""
    handles: list[int] = []
    try:
        for each in _within(path):
            if not each.is_symlink():
                handles.append(os.open(each, os.O_RDONLY))
                fcntl.flock(handles[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            # Renamed first, so that nobody finds a part of it.
            shutil.rmtree(path.rename(path.with_name(f"part-{secrets.token_hex(8)}")))
        else:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # A download's own folder; others are not empty.
            path.parent.rmdir()
        return True
    except OSError:
        return not path.exists()
    finally:
        for handle in handles:
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
