"""The store that nodes share: a folder or any fsspec URL, `store:` in the YAML or $PITSTOP_STORE.

An artefact lies in BACKEND/KEY-SHA256, with its suffix, and BACKEND/KEY.json says which it is. So a start asks for two
names and lists nothing, which a plain web server can answer too. The document is written last: without it the artefact
is not there. A package holds machine code: who may write to the store can run code in every replica that reads it.
"""

import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from stat import S_IWOTH
from typing import Any

from configs.code_files import local_folder

from .. import cache
from ..errors import ModelError
from ..sources import allowlist
from ..sources.files import NoFileError, copy_from, shown, written_atomically
from ..sources.urls import without_secrets

VARIABLE = "PITSTOP_STORE"
# What a start waits for: an answer, and then this many bytes a second. Slower, and compiling is quicker; nothing that a
# start needs is only in the store.
_ANSWER_S = 10.0
_LEAST_BYTES_S = 5e6
# A store that did not answer is left alone for so long: a start asks for several artefacts.
_AGAIN_S = 60.0
_MOST_DOCUMENT_BYTES = 2**24
OURS = re.compile(r"(?P<key>[0-9a-f]{64})(-(?P<sha256>[0-9a-f]{64}))?\.\w+")
_log = logging.getLogger("pitstop")
_silent_until: dict[str, float] = {}
_warned: set[Path] = set()
# The keys that this process has written or has found there: no pruning of its own removes them.
of_this_run: set[str] = set()
# The bytes of each file that this process has written, by name.
written: dict[str, int] = {}


def place_of(key: object) -> str | None:
    """Return the store of a config or a key: a URL, or the path of a folder, which need not be there; None if none."""
    given = getattr(key, "store", None) or os.environ.get(VARIABLE) or None
    if given is None:
        return None
    scheme, found, rest = given.partition("://")
    if found and scheme not in ("file", "local"):
        return given
    return str((local_folder(rest if found else given) or Path(rest if found else given).expanduser()).absolute())


@contextmanager
def asked(key: str, publish: bool = False) -> Iterator[str | None]:
    """Yield the store to read from, or None; what fails inside the block ends it with a warning, and no start.

    With `publish` a folder that is not there yet is none to read from: what is written to the store makes it.
    """
    place = place_of(key)
    try:
        yield None if place is None or _silent(place) or (publish and _to_come(place)) else place
    except ModelError as error:
        _log.warning("store: %s", error)
    except OSError as error:
        _log.warning(
            "store: %s: cannot be kept in %s: %s\n%s", shown(place or ""), cache.cache_dir(), error, cache.HELP
        )


def document(place: str, folder: str, key: str, checked: Callable[[Any, str], dict[str, Any]]) -> dict[str, Any] | None:
    """Return the document of a key, None where there is none; raise as `take` does, also where it is not `checked`."""
    with written_atomically(cache.folder(folder)) as part:
        if take(place, f"{folder}/{key}.json", part) is None:
            return None
        try:
            if part.stat().st_size > _MOST_DOCUMENT_BYTES:
                raise ValueError("it is too long")
            found = checked(json.loads(part.read_bytes()), key)
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f"{shown(place)}: {folder}/{key}.json does not fit ({error})\nhelp: run `pitstop build` again"
            ) from None
    of_this_run.add(key)
    return found


def take(place: str, name: str, to: Path, size: int = 0) -> str | None:
    """Copy a file of the store into a file, and return its sha256; None where there is none.

    Raises:
        ModelError: the store cannot be read, is too slow, or is not allowed by $PITSTOP_SOURCES.
        OSError: the copy cannot be written.
    """
    bound_s = _ANSWER_S + size / _LEAST_BYTES_S

    def copied(stopped: Callable[[], bool]) -> str:
        if "://" not in place:
            _check_folder(Path(place), name)
        return copy_from(_join(place, name), to, stopped)

    try:
        return _within(bound_s, copied)
    except NoFileError:
        return None
    except TimeoutError:
        _silent_until[place] = time.monotonic() + _AGAIN_S
        raise ModelError(
            f"{shown(place)}: gave {name[:32]}… not within {bound_s:.3g} s\nhelp: check the store and the way there"
        ) from None
    except ModelError:
        _silent_until[place] = time.monotonic() + _AGAIN_S
        raise


def give(place: str, name: str, path: Path) -> None:
    """Bring a file to the store, whole or, on some file systems, in part: then its size says so, or its checksum.

    Raises:
        ModelError: it cannot be written there.
    """
    match = OURS.fullmatch(name.rpartition("/")[2])
    if match is not None:
        of_this_run.add(match["key"])
    unchanging, size = match is not None and match["sha256"] is not None, path.stat().st_size
    with told(place):
        if "://" not in place:
            target = allowlist.allow_path(Path(place), place) / name
            if unchanging and target.is_file() and target.stat().st_size == size:
                return
            with written_atomically(target.parent) as part:
                shutil.copyfile(path, part)
                part.replace(target)
            written[name] = size
            return
        files, root = system(place, name)
        if unchanging and files.exists(root) and files.info(root).get("size") == size:
            return
        files.makedirs(root.rpartition("/")[0], exist_ok=True)
        files.put_file(str(path), root)
        written[name] = size


@contextmanager
def told(place: str) -> Iterator[None]:
    """Turn what a driver raises into a ModelError without secrets."""
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(f"{shown(place)}: {error}\nhelp: install the fsspec driver of this kind of URL") from None
    except Exception as error:  # As in sources/files.py: each driver has kinds of its own.
        said = f"{type(error).__name__}: {without_secrets(str(error))}"
        raise ModelError(
            f"{shown(place)}: the store cannot be written ({said})\nhelp: check its address, rights and free space"
        ) from None


def system(place: str, name: str) -> tuple[Any, str]:
    """Return fsspec's file system of a store at a URL, and a file's path in it."""
    import fsspec

    allowlist.allow_url(place)
    files, root = fsspec.core.url_to_fs(_join(place, name))
    return files, root


def _within(seconds: float, function: Callable[[Callable[[], bool]], str]) -> str:
    """Run a function in a thread for at most so long; it learns that it was stopped, where it asks."""
    stop, done = threading.Event(), Future[str]()

    def run() -> None:
        try:
            done.set_result(function(stop.is_set))
        except BaseException as error:
            done.set_exception(error)

    # A thread of no pool: one that hangs in a driver must not keep the process from ending.
    threading.Thread(target=run, daemon=True, name="store").start()
    try:
        return done.result(seconds)
    except TimeoutError:
        stop.set()
        raise


def _silent(place: str) -> bool:
    return time.monotonic() < _silent_until.get(place, 0.0)


def _to_come(place: str) -> bool:
    return "://" not in place and not Path(place).exists()


def _check_folder(place: Path, name: str) -> None:
    if not place.is_dir():
        raise ModelError(
            f"{place}: the store is no folder\nhelp: `pitstop build` makes it; or correct store, {VARIABLE}"
        )
    for folder in (place, (place / name).parent):
        if folder not in _warned and folder.is_dir() and folder.stat().st_mode & S_IWOTH:
            _warned.add(folder)
            _log.warning(
                "store: all users of this machine can write to %s, and so run code in replicas\nhelp: chmod o-w %s",
                *(folder, folder),
            )


def _join(place: str, name: str) -> str:
    """Return the URL or the path of a file in the store; a URL's query, such as a signature, stays behind it."""
    if "://" not in place:
        return f"{place}/{name}"
    base, query = re.fullmatch(r"([^?#]*)(.*)", place, re.S).groups()  # type: ignore[union-attr]
    return f"{base.rstrip('/')}/{name}{query}"
