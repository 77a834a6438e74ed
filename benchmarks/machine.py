"""What a figure depends on besides the server: the machine, the versions, the commit."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from .cache import PROJECT

_NAMED = ("torch", "ray", "numpy", "orjson", "tokenizers", "pitstop")


def hardware(gpu: str | None = None) -> Mapping[str, Any]:
    """Return the processor, its cores, the memory in GiB, the kernel, and a slug of them for file names.

    Args:
        gpu: the name of the GPU that was measured on, which the slug then is.
    """
    cpu, cores = _first("/proc/cpuinfo", r"model name\s*: (.*)"), os.cpu_count() or 1
    memory_gib = round(int(_first("/proc/meminfo", r"MemTotal:\s*(\d+)")) / 1024**2)
    slug = _slug(f"{cpu} {cores} cores")
    found = {"cpu": cpu, "cores": cores, "memory_gib": memory_gib, "kernel": platform.release(), "slug": slug}
    return {**found, "gpu": gpu, "slug": _slug(gpu)} if gpu else found


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def versions() -> Mapping[str, str]:
    """Return Python and what all servers share; a peer's own versions are noted with its figures."""
    found = {"python": platform.python_version()}
    for name in _NAMED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str:
    """Return the checked-out commit, with `-dirty` where files differ from it; "unknown" outside a checkout."""
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _first(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text())
    return found.group(1).strip() if found else "0"
