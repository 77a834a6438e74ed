"""What is asked of every server: three models, the inputs sent to them, and how hard.

The inputs are drawn from fixed seeds: every server gets the same ones, in every run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """One model's questions. `inputs` draws them without a row dimension: [64], [3, 224, 224] or a sentence.

    Every server is started `passes` times, and driven for `rounds` rounds each time.
    """

    name: str
    what: str
    inputs: Callable[[], Sequence[Any]]
    connections: tuple[int, ...]
    seconds: tuple[float, ...]  # of closed loop, for each number of connections
    open_seconds: float
    passes: int = 3
    rounds: int = 1
    loads: tuple[float, ...] = (0.5, 0.8, 0.95)
    memory_requests: tuple[int, ...] = ()


def quick(workload: Workload) -> Workload:
    """Return the workload cut down to one short round and one open load, to see that everything runs."""
    seconds = tuple(each / 2 for each in workload.seconds)
    return replace(workload, passes=1, seconds=seconds, loads=(0.8,), memory_requests=())


def on_gpu(workload: Workload) -> Workload:
    """Return the workload as a GPU needs it: many more connections fill its batches, and its minutes are dear."""
    return replace(
        workload,
        connections=(1, 32, 256),
        seconds=(1.0, 2.0, 3.0),
        open_seconds=3.0,
        passes=1,
        rounds=2,
        loads=(0.8,),
    )


def vectors(count: int = 64) -> Sequence[Array]:
    """Return float32 [64] vectors whose decimals are few enough for JSON to carry them exactly."""
    drawn = np.random.default_rng(1).standard_normal((count, 64))
    return list(drawn.round(4).astype(np.float32))


def images(count: int = 16) -> Sequence[Array]:
    """Return uint8 [3, 224, 224] images of noise; what is in them changes nothing about the time they take."""
    return list(np.random.default_rng(2).integers(0, 256, (count, 3, 224, 224), dtype=np.uint8))


def sentences(count: int = 64, random: np.random.Generator | None = None) -> Sequence[str]:
    """Return sentences of 4 to 24 words, as search queries and captions are."""
    rng, words = random or np.random.default_rng(3), _WORDS.split()
    return [" ".join(rng.choice(words, int(rng.integers(4, 25)))).capitalize() + "." for _ in range(count)]


_WORDS = """
the a small old red fast quiet engine pit crew changed all four tyres in two seconds and driver waited while rain
fell on track before race began again with new wings under bright lights of city
"""

WORKLOADS = {
    each.name: each
    for each in (
        Workload(
            "mlp", "MLP 64-128-10, JSON", vectors, (1, 16, 64), (1.5, 1.5, 1.5), 1.5, memory_requests=(1_000, 100_000)
        ),
        Workload("resnet50", "ResNet-50, uint8 images of 147 KiB", images, (1, 8, 32), (2.0, 3.0, 5.0), 4.0),
        Workload("minilm", "MiniLM-L6 sentence encoder, text", sentences, (1, 8, 32), (1.5, 2.0, 2.0), 2.0),
    )
}
