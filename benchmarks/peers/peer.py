"""What the benchmark has to know of a server: how it is installed, started, asked and understood."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..device import chosen
from ..workloads import Workload
from .codecs import Codec

_ROWS_ON_GPU = 64


@dataclass(frozen=True, slots=True)
class Batching:
    """How a server batches: up to so many rows, and how long the first waits for more; None where that adapts."""

    max_batch_size: int
    wait_ms: float | None


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a server: `folder` is empty, short of name, and goes away afterwards."""

    workload: Workload
    batching: Batching
    port: int
    folder: Path
    python: Path


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, with what beside the common environment, and where: in the launch's own folder by default."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """A server. `settings` says in words how it was tuned; `batching` holds the best values found, by workload."""

    name: str
    packages: tuple[str, ...]
    settings: str
    batching: Mapping[str, Batching]
    command: Callable[[Launch], Command]
    ready: Callable[[Workload], str]
    codec: Callable[[Workload], Codec]
    announces: str = ""  # what its log says once everything is up; the path may be answered before
    watched: str = ""  # in the command line of the process whose memory is followed over many requests
    keeps_freed: bool = False  # has malloc keep what a forward frees, without being told by variables
    # On a GPU every server may fill the same batches; how long it waits for them is its own.
    wait_on_gpu_ms: float | None = 0

    def batch(self, workload: str) -> Batching:
        """Return how the server batches a workload on the chosen device."""
        return Batching(_ROWS_ON_GPU, self.wait_on_gpu_ms) if chosen().is_gpu else self.batching[workload]
