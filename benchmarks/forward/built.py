"""What `pitstop build` makes ahead of the measuring: configs, each built once into a store that all starts share."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from configs.document import application

from .. import cache, script
from ..peers.pitstop import hold_to_fp32, shipped
from ..server import KEEPS_FREED, ONE_THREAD

Args = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """One config of pitstop. `edit` changes the args of the model `name` in the shipped configs/<name>.yaml."""

    name: str
    title: str
    edit: Callable[[Args], None]

    def apply(self, raw: dict[str, Any]) -> None:
        self.edit(application(raw, self.name)["args"])


@dataclass
class Built:
    """A store, the configs that were built into it, and the seconds that each took."""

    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def config(self, way: Way) -> Path:
        """Return the way's config, which is built when it is first asked for."""
        key = f"{way.name}: {way.title}"
        path = self.folder / f"{key.replace(': ', '-').replace(' ', '-')}.yaml"
        if not path.exists():
            script.say(f"{key}: pitstop build")
            raw = shipped(way.name)
            way.apply(raw)
            path.write_text(yaml.safe_dump(raw, sort_keys=False))
            began = time.monotonic()
            command = ("build", str(path), "--model", way.name, "--store", str(self.store))
            # In a cache of its own: what a server has it is to have from the store.
            environment = {**os.environ, "PITSTOP_CACHE": str(self.folder / "built")}
            subprocess.run([sys.executable, "-m", "pitstop", *command], check=True, cwd=cache.PROJECT, env=environment)
            self.seconds[key] = time.monotonic() - began
        return path


@contextmanager
def building() -> Iterator[Built]:
    """Yield an empty store. Whatever starts inside the block reads it, beside a cache that was empty too."""
    with TemporaryDirectory(prefix="pb-") as name:
        found = Built(Path(name))
        found.store.mkdir()
        own = {"PITSTOP_STORE": str(found.store), "PITSTOP_CACHE": str(found.folder / "cache")}
        with script.environment(own):
            yield found


def in_process(module: str, *arguments: str, **variables: str) -> str:
    """Run a program of this package on one thread, or as `variables` say; return the last line that it printed."""
    environment = {**os.environ, **ONE_THREAD, **KEEPS_FREED, **variables}
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.forward.{module}", *arguments]
    found = subprocess.run(command, check=True, cwd=cache.PROJECT, env=environment, stdout=subprocess.PIPE, text=True)
    return found.stdout.splitlines()[-1]


def fp32(name: str) -> Way:
    """Return the shipped config held to fp32, with the backend still to be found by measuring."""
    return Way(name, "fp32", hold_to_fp32)


def as_shipped(name: str) -> Way:
    return Way(name, "as shipped", lambda _: None)
