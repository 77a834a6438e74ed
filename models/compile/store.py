"""Keeps what backends compile between starts, under a key of all that it depends on: cache first, then the store.

The key covers the network's identity, its signature, layout and precision, pitstop's own code, and the machine: after a
change of these nothing old is loaded. An artefact has its checksum in its name and is written whole or not at all, so a
partial one is never run. A start writes to the cache alone, `pitstop build` also to the store (shared_store.py).
Whatever cannot be read or written, because of a full disk or a store that is away, costs a compilation or a faster
forward, never a start.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from configs.backends import BACKENDS

from .. import cache
from ..errors import ModelError
from ..sources.files import digest, shown, write_atomically, written_atomically
from . import shared_store
from .documents import read_json, write_json
from .keys import Key, key_from, key_of
from .making import making
from .provenance import provenance
from .store_bound import bound_gib, prune

__all__ = ["Key", "check_build", "key_from", "key_of", "making", "read", "read_json", "write", "write_json"]

T = TypeVar("T")
_UNSAVED = "help: torch cannot save this compiled module, so each start compiles it; the model works as any other"
_log = logging.getLogger("pitstop")


def read(
    backend: str,
    key: str | None,
    load: Callable[[Path], T],
    *,
    publish: bool = False,
    here: bool = False,
    stale: bool = False,
) -> T | None:
    """Return the artefact of a backend, read by `load`; None if none is kept, or it is not whole.

    `here` looks only into the cache; `publish` brings what is found there to the store, if that lacks it. `stale`: what
    is kept was seen to be wrong, so it is removed from the cache, and the store is not asked.
    """
    if key is None:
        return None
    if stale:
        for path in _kept(backend, key):
            _remove(path)
        return None
    found = _read(backend, key, load)
    if found is None and not here and _fetched(backend, key, publish):
        found = _read(backend, key, load)
    if found is None:
        return None
    path, loaded = found
    if publish:
        _publish(backend, key, path)
    return loaded


def kept_or_made(
    backend: str,
    key: str | None,
    load: Callable[[Path], T],
    make: Callable[[], T],
    *,
    publish: bool = False,
    stale: bool = False,
) -> T:
    """Return what is kept of a backend, read by `load`, else what `make` makes and keeps; `stale` as in `read`.

    Of the processes on this node that need the same, one makes it, and the others read it.
    """
    if (found := read(backend, key, load, publish=publish, stale=stale)) is not None:
        return found
    if stale:
        return make()
    with making(backend, key) as waited:
        # Another may also have finished since the cache was looked at.
        if (found := read(backend, key, load, publish=publish, here=True)) is not None:
            return found
        if not waited:
            return make()
    # Whoever made it kept nothing, since it is eager, say: then nobody waits for anybody.
    return make()


def check_build(place: str | None) -> None:
    """Raise a ModelError, before anything is compiled, where a build could not keep what it finds.

    `place`: the store that its config or command names.
    """
    if place is not None and not place.strip():
        raise ModelError("the store has no name\nhelp: name a folder or a URL, or leave it out")
    cache.bound_gib()
    bound_gib()
    named = place or os.environ.get(shared_store.VARIABLE, "")
    # By itself, or under a cache: simplecache::memory://.
    if "::memory://" in f"::{named}":
        raise ModelError(
            f"{shown(named)}: what is kept there is gone when the build's process ends\n"
            "help: name a folder that all nodes see, or a URL such as s3://"
        )


def write(
    backend: str,
    key: str | None,
    save: Callable[[Path], None],
    *,
    publish: bool = False,
    seconds: float | None = None,
) -> None:
    """Keep the file that `save` writes; a full disk gets a warning and does not fail the start.

    Raises:
        ModelError: with `publish`, which is for `pitstop build` alone: it cannot be kept, or brought to the store.
    """
    if key is None:
        return
    try:
        with written_atomically(cache.folder(backend)) as part:
            save(part)
            sha256 = digest(part)
            path = part.with_name(f"{key}-{sha256}{BACKENDS[backend].artefact}")
            part.replace(path)
            if isinstance(key, Key):
                about = provenance(backend, key, path, sha256, key.about, seconds)
                write_atomically(path.with_suffix(".json"), _json(about))
    except (OSError, RuntimeError) as error:
        # RuntimeError: a module that calls @torch.jit.ignore.
        line = str(error).strip().partition("\n")[0]
        if publish and isinstance(error, OSError):
            raise ModelError(f"compiled artefact not kept in {cache.cache_dir()}: {line}\n{cache.HELP}") from None
        _log.warning(
            "compiled artefact not kept in %s, so it will be made again: %s\n%s",
            cache.cache_dir(),
            line,
            cache.HELP if isinstance(error, OSError) else _UNSAVED,
        )
        return
    cache.use(path)
    cache.shrink(path)
    if publish:
        _publish(backend, key, path)


def _read(backend: str, key: str, load: Callable[[Path], T]) -> tuple[Path, T] | None:
    for path in _kept(backend, key):
        try:
            if cache.use(path):
                _check(path)
                loaded = load(path)
                with suppress(OSError):
                    os.utime(path.with_suffix(".json"))
                return path, loaded
        except FileNotFoundError:  # Removed by another process.
            continue
        except OSError as error:
            _log.warning("compiled artefact %s cannot be read and will be made again: %s\n%s", path, error, cache.HELP)
        except Exception as error:  # A loader may raise anything for a file of another version or a broken one.
            _log.warning("compiled artefact %s is damaged and will be made again (%s)", path, type(error).__name__)
            _remove(path)
    return None


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
        path.with_suffix(".json").unlink()


def _kept(backend: str, key: str) -> list[Path]:
    return sorted((cache.cache_dir() / backend).glob(f"{key}-*{BACKENDS[backend].artefact}"))


def _check(path: Path) -> None:
    if digest(path) != path.stem.rpartition("-")[2]:
        raise ValueError("the checksum does not fit")


def _fetched(backend: str, key: str, publish: bool) -> bool:
    """Bring the store's artefact into the cache; whatever fails costs a warning, and False."""
    with shared_store.asked(key, publish) as place:
        if place is None:
            return False
        found = shared_store.document(place, backend, key, partial(_checked, backend))
        if found is None:
            _log.info("store: %s has no %s of this model, machine and version", shown(place), backend)
            return False
        name = str(found["file"])
        with written_atomically(cache.folder(backend)) as part:
            sha256 = shared_store.take(place, f"{backend}/{name}", part, int(found["bytes"]))
            if sha256 != found["sha256"]:
                what = "is gone" if sha256 is None else "is damaged, its checksum does not fit"
                raise ModelError(f"{shown(place)}: {backend}/{name} {what}\nhelp: run `pitstop build` again")
            path = part.with_name(name)
            part.replace(path)
        write_atomically(path.with_suffix(".json"), _json(found))
        cache.use(path)
        cache.shrink(path)
        return True
    return False


def _checked(backend: str, found: Any, key: str) -> dict[str, Any]:
    """Return an artefact's provenance if it is of this key and machine, or raise ValueError."""
    if not isinstance(found, dict) or (found.get("backend"), found.get("key")) != (backend, key):
        raise ValueError("it is another's")
    if isinstance(key, Key) and key.about and found.get("machine") != json.loads(_json(key.about["machine"])):
        raise ValueError("it is of another machine")
    sha256, size = str(found.get("sha256")), found.get("bytes")
    fits = found.get("file") == f"{key}-{sha256}{BACKENDS[backend].artefact}" and re.fullmatch("[0-9a-f]{64}", sha256)
    if not fits or not isinstance(size, int) or size < 0:
        raise ValueError("it names no artefact")
    return found


def _publish(backend: str, key: str, path: Path) -> None:
    place = shared_store.place_of(key)
    if place is None:
        return
    beside = path.with_suffix(".json")
    try:
        about = _checked(backend, json.loads(beside.read_bytes()), key)
    except (OSError, ValueError, RecursionError):
        about = provenance(backend, key, path, digest(path), getattr(key, "about", {}), None)
    shared_store.give(place, f"{backend}/{path.name}", path)
    with written_atomically(path.parent) as part:
        part.write_bytes(_json(about))
        shared_store.give(place, f"{backend}/{key}.json", part)
    prune(place)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode()
