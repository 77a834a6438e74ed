"""Starts in a process of their own, as a replica's without Ray: from the process's start to ready.

`import torch` takes as long whatever pitstop does, so each start times its own and leaves it out. Ways go in turns,
with the first start of an earlier commit among them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from .. import cache, script
from ..peers.pitstop import shipped
from ..server import KEEPS_FREED, ONE_THREAD
from .built import Built, as_shipped

BEFORE, FIRST, SECOND = "first, before", "first", "second"
STORE, AGAIN = "first, from the store", "second, from the store"
# Given as text, since an earlier commit has no such file. Its working directory says whose packages these are.
_CHILD = """
import sys, time
began = time.monotonic()
import torch
torch_s = time.monotonic() - began
from configs.loader import load
from models.startup.open_model import open_model
config = next(each.config for each in load(sys.argv[1]).models if each.name == sys.argv[2])
torch.set_num_threads(config.threads)
# As a replica does it, where it can go by what an earlier start has found.
import inspect, json
kept = {"kept": True} if "kept" in inspect.signature(open_model).parameters else {}
served = open_model(config, "cpu", **kept)
print(json.dumps({"ready_s": time.monotonic() - float(sys.argv[3]), "torch_s": torch_s, "how": served.how,
                  "precision": served.precision, "start_s": served.start_s}))
"""


def measured(built: Built, names: Sequence[str], before: str, turns: int) -> Iterator[dict[str, Any]]:
    """Yield the whole part after each turn, with what there is by then."""
    models: list[dict[str, Any]] = [{"name": name, "starts": {}} for name in names]
    with _checkout(before) as earlier:
        for model in models:
            config = built.config(as_shipped(model["name"]))
            for turn in range(turns):
                script.say(f"{model['name']}, starts, turn {turn + 1} of {turns}")
                for way, found in _turn(model["name"], config, built.store, earlier):
                    model["starts"].setdefault(way, []).append(found)
                yield {"before": before, "models": models}


def beyond_torch_s(start: dict[str, Any]) -> float:
    """Return the seconds of a start without those of `import torch`."""
    return float(start["ready_s"] - start["torch_s"])


def _turn(name: str, config: Path, store: Path, earlier: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with TemporaryDirectory(prefix="pb-") as folder:
        empty = [Path(folder) / each for each in ("before", "cache", "other")]
        old = Path(folder) / f"{name}.yaml"
        raw = shipped(name, earlier)
        old.write_text(yaml.safe_dump(raw, sort_keys=False))
        yield BEFORE, _start(earlier, old, name, empty[0])
        yield FIRST, _start(cache.PROJECT, config, name, empty[1])
        yield SECOND, _start(cache.PROJECT, config, name, empty[1])
        for way in (STORE, AGAIN):
            yield way, _start(cache.PROJECT, config, name, empty[2], PITSTOP_STORE=str(store))


def _start(project: Path, config: Path, name: str, kept: Path, **variables: str) -> dict[str, Any]:
    environment = {**os.environ, **ONE_THREAD, **KEEPS_FREED, "PITSTOP_CACHE": str(kept)}
    environment.pop("PITSTOP_STORE", None)
    command = [sys.executable, "-W", "ignore", "-c", _CHILD, str(config), name, str(time.monotonic())]
    done = subprocess.run(
        command, cwd=project, env=environment | variables, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """Yield a folder with the project as it was at a commit."""
    git = ["git", "-C", str(cache.PROJECT), "worktree"]
    with TemporaryDirectory(prefix="pb-") as name:
        folder = Path(name) / "project"
        subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], check=True)
        try:
            yield folder
        finally:
            subprocess.run([*git, "remove", "--force", str(folder)], check=True)
