"""What is written beside an artefact: what it is, of which model, made by whom and where, and its checksum."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from configs.code_files import PROJECT
from configs.schema import ModelConfig

from ..runtime.layout import Layout
from ..sources.urls import shown
from .machine import cpu_name

_FORMAT = 1
_LOCATIONS = ("weights", "torchscript", "exported_program", "pretrained")
# Not the factory's arguments, which may be anybody's secret; the identity has them.
_SOURCE = ("factory", "task", "revision", "sha256")


def facts(config: ModelConfig, layout: Layout, identity: str, machine: Mapping[str, object]) -> dict[str, Any]:
    """Return what is known before anything is compiled."""
    source = {name: getattr(config.source, name) for name in (*_SOURCE, *_LOCATIONS)}
    source |= {name: shown(source[name]) for name in _LOCATIONS if source[name] is not None}
    return {
        "model": config.name,
        "version": config.version,
        "source": {name: value for name, value in source.items() if value is not None},
        "identity": identity,
        "precision": config.precision,
        "memory_format": "channels_last" if layout.channels_last else "contiguous",
        "batch_sizes": list(layout.sizes),
        "dims": {dim.name: list(dim.sizes) for dim in layout.dims},
        "inputs": {each.name: f"{each.datatype} {list(each.shape)}" for each in config.inputs},
        "outputs": {each.name: f"{each.datatype} {list(each.shape)}" for each in config.outputs},
        "machine": dict(machine),
    }


def provenance(
    backend: str, key: str, path: Path, sha256: str, about: Mapping[str, Any], seconds: float | None
) -> dict[str, Any]:
    """Return the document of an artefact; `seconds` is what compiling took."""
    own = {"format": _FORMAT, "backend": backend, "key": key, "file": path.name}
    own |= {"sha256": sha256, "bytes": path.stat().st_size}
    return {**own, "seconds": seconds, **made(), **about}


def made() -> dict[str, Any]:
    """Return when and by what something is made."""
    when = datetime.now(UTC).isoformat(timespec="microseconds")
    return {"made": when, "pitstop": _version(), "commit": _commit(), "cpu": cpu_name()}


@cache
def _version() -> str | None:
    try:
        return metadata.version("pitstop")
    except metadata.PackageNotFoundError:
        return None


@cache
def _commit() -> str | None:
    """Return the project's commit, with `-dirty` where files differ from it; None outside of git."""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
