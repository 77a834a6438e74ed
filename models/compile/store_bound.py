"""The bound of a store, $PITSTOP_STORE_GIB: what was written first goes first, but nothing of this run."""

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import cache
from ..sources.files import shown
from .shared_store import OURS, of_this_run, system, told

BOUND = "PITSTOP_STORE_GIB"
_DEFAULT_GIB = 100.0
_log = logging.getLogger("pitstop")


def bound_gib() -> float:
    """Return how large a store may grow, in GiB; raise a ModelError if the variable is not a number above 0."""
    return cache.bound_gib(BOUND, _DEFAULT_GIB)


def prune(place: str) -> None:
    """Remove the oldest artefacts until the store is within $PITSTOP_STORE_GIB, but none of this run."""
    gib = bound_gib()
    with told(place):
        found = sorted(_listed(place))
        total = sum(size for _, _, _, size in found)
        for _, folder, name, size in found:
            if total <= gib * 2**30:
                return
            key, artefact = name[:64], name[64] == "-"
            if key in of_this_run or not (artefact or folder in cache.DOCUMENTS):
                continue
            same = [each for _, other, each, _ in found if other == folder and each.startswith(f"{key}-")]
            # Its document goes first, unless that is of one made later: nobody is sent to what is gone.
            if artefact and same[-1] == name:
                _remove(place, f"{folder}/{key}.json")
            _remove(place, f"{folder}/{name}")
            total -= size
            _log.info("store: removed %s/%s, %s is %g GiB", folder, name, BOUND, gib)
    if total > gib * 2**30:
        _log.warning("store: %s has %.1f GiB of this run, %s allows %g", shown(place), total / 2**30, BOUND, gib)


def _listed(place: str) -> Iterator[tuple[float, str, str, int]]:
    """Yield when each of our files was written, its folder, name and size."""
    for folder in cache.kept_folders():
        if "://" not in place:
            for path in (Path(place) / folder).glob("*"):
                if path.is_file() and OURS.fullmatch(path.name):
                    yield path.stat().st_mtime, folder, path.name, path.stat().st_size
            continue
        files, root = system(place, folder)
        files.invalidate_cache()
        try:
            found = files.ls(root, detail=True)
        except FileNotFoundError:
            continue
        for info in found:
            name = str(info["name"]).rpartition("/")[2]
            if info.get("type") == "file" and OURS.fullmatch(name):
                yield _time(info), folder, name, int(info.get("size") or 0)


def _time(info: dict[str, Any]) -> float:
    """Return when a file was written; each driver has a name of its own for it."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "modified", "created"):
        match info.get(name):
            case float() | int() as seconds:
                return float(seconds)
            case datetime() as when:
                return when.timestamp()
            case str() as text:
                try:
                    return datetime.fromisoformat(text).timestamp()
                except ValueError:
                    continue
    return 0.0


def _remove(place: str, name: str) -> None:
    try:
        if "://" not in place:
            (Path(place) / name).unlink()
        else:
            files, root = system(place, name)
            files.rm_file(root)
    except FileNotFoundError:  # Another build's pruning.
        pass
