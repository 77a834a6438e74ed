"""Makes a Ray and a uvicorn that work as those installed, and have renamed whatever is private."""

import re
import shutil
from pathlib import Path

import ray

from deployments.ray_compat import autoscaling, counters
from deployments.ray_compat.names import CLASS, FUNCTION, Name
from deployments.ray_compat.table import PARTS

SITE = Path(ray.__file__).parents[1]
# All code that knows Serve's private names, and uvicorn.
_CHANGED = (SITE / "ray" / "serve", SITE / "ray" / "dashboard" / "modules" / "serve", SITE / "uvicorn")
# They are also names of messages, which go between processes.
_MESSAGES = {"RequestMetadata"}
# A counter's first value is Ray's own matter, not Serve's.
SERVED = [part for part in PARTS if part not in (autoscaling.PART, counters.AT_ZERO)]


def make(folder: Path) -> Path:
    """Return a folder for PYTHONPATH; what is not changed is linked."""
    pattern = re.compile(rf"\b({'|'.join(sorted(renamed()))})\b")
    folder.mkdir()
    for package in ("ray", "uvicorn"):
        _make(SITE / package, folder / package, pattern)
    return folder


def renamed() -> set[str]:
    """Return the names that become another: the private ones that no other package, protocol or person knows."""
    names = [name for part in SERVED for name in part.names]
    steps = {step for name in names for step in (*name.path.split("."), *name.takes)}
    underscored = {step for step in steps if step.startswith("_") and not step.startswith("__")}
    free = {name.path.split(".")[-1] for name in names if _is_free(name)}
    return underscored | (free - _MESSAGES) | {"HTTP_PROTOCOLS", "build_serve_application"}


def _is_free(name: Name) -> bool:
    """Whether it is a class or a function of a private module, and not one that asyncio or HTTP's parser calls."""
    last = name.path.split(".")[-1]
    is_private = name.module.startswith(("ray.serve._private", "uvicorn.protocols"))
    is_own_word = last != last.lower() or ("_" in last and not last.startswith("on_"))
    return is_private and name.kind in (CLASS, FUNCTION) and is_own_word


def _make(source: Path, target: Path, pattern: "re.Pattern[str]") -> None:
    if source in _CHANGED:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        for path in target.rglob("*.py"):
            path.write_text(pattern.sub(r"\g<0>_moved", path.read_text(encoding="utf-8")), encoding="utf-8")
    elif any(path.is_relative_to(source) for path in _CHANGED):
        target.mkdir()
        for each in source.iterdir():
            _make(each, target / each.name, pattern)
    else:
        target.symlink_to(source)
