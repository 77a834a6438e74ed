"""Keeps small documents of plain values between starts, as JSON: what a selection or a start's checks found."""

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import cache
from ..errors import ModelError
from ..sources.files import write_atomically
from . import shared_store
from .keys import Key
from .provenance import made

_log = logging.getLogger("pitstop")


def read_json(kind: str, key: str | None, *, here: bool = False) -> Any:
    """Return a document, the newer one of cache and store; None if there is none, or it is not whole.

    `here` looks only into the cache.
    """
    if key is None:
        return None
    path = cache.cache_dir() / kind / f"{key}.json"
    ours, theirs = _document(path, key), None if here else _of_store(kind, key)
    if theirs is None or (ours is not None and ours["made"] >= theirs["made"]):
        if ours is not None:
            with suppress(OSError):
                os.utime(path)
        return None if ours is None else ours["value"]
    try:
        _keep(path, theirs)
    except ModelError as error:
        _log.warning("%s", error)
    return theirs["value"]


def write_json(kind: str, key: str | None, value: Any, *, publish: bool = False) -> None:
    """Keep a document of plain values; a full disk gets a warning. With `publish` it goes to the store too.

    Raises:
        ModelError: with `publish`, which is for `pitstop build` alone: it cannot be kept.
    """
    if key is None:
        return
    path = cache.cache_dir() / kind / f"{key}.json"
    about = key.about if isinstance(key, Key) else {}
    whole = {**about, "key": key, "sha256": _sha256_of(value), **made(), "value": value}
    try:
        _keep(path, whole)
    except ModelError as error:
        if publish:
            raise
        _log.warning("%s", error)
        return
    if publish and (place := shared_store.place_of(key)):
        shared_store.give(place, f"{kind}/{path.name}", path)


def _of_store(kind: str, key: str) -> dict[str, Any] | None:
    with shared_store.asked(key) as place:
        return shared_store.document(place, kind, key, _checked) if place else None
    return None


def _document(path: Path, key: str) -> dict[str, Any] | None:
    try:
        return _checked(json.loads(path.read_bytes()), key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("%s cannot be read and is done without (%s)", path, type(error).__name__)
        return None


def _checked(found: Any, key: str) -> dict[str, Any]:
    """Return a document that is whole, or raise ValueError."""
    if not isinstance(found, dict) or found.get("key") != key or not isinstance(found.get("made"), str):
        raise ValueError("it is another's")
    if "value" not in found or found.get("sha256") != _sha256_of(found["value"]):
        raise ValueError("its checksum does not fit")
    return found


def _sha256_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _keep(path: Path, whole: dict[str, Any]) -> None:
    try:
        cache.folder(path.parent.name)
        write_atomically(path, json.dumps(whole, indent=1).encode())
    except OSError as error:
        raise ModelError(f"{path} is not kept: {error}\n{cache.HELP}") from None
