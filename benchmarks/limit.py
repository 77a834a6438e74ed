"""The ceiling: the same prepared model called in process on ready tensors, with no server, no parsing and no copies.

On a GPU the tensors lie in its memory, and a forward is over when the GPU says so.

Run as a program it prints JSON: python -m benchmarks.limit mlp 3
"""

import json
import sys
from collections.abc import Callable
from statistics import median

import torch

from pitstop.measure.timing import times_ms

from . import networks
from .device import chosen
from .workloads import WORKLOADS

_SIZES = (1, 2, 4, 8, 16, 32, 64)
_BUDGET_S = 1.0
# cuDNN's search and the compiling of kernels lie in the first runs.
_SETTLING = 5


def main(name: str, rounds: int) -> None:
    print(json.dumps([measure(name) for _ in range(rounds)]))


def measure(name: str) -> dict[str, float]:
    """Return, for each batch size in rows, the median milliseconds of a forward."""
    forward, collate = networks.script(name), networks.collator(name)
    examples = list(WORKLOADS[name].inputs()) * _SIZES[-1]
    top = _SIZES[-1] if chosen().is_gpu else WORKLOADS[name].connections[-1]
    place = networks.to_gpu if chosen().is_gpu else _as_they_are
    return {str(rows): _median_ms(forward, place(collate(examples[:rows]))) for rows in _SIZES if rows <= top}


def _median_ms(forward: Callable[..., torch.Tensor], tensors: networks.Tensors) -> float:
    wait, settling = (torch.cuda.synchronize, _SETTLING) if chosen().is_gpu else (_nothing, 2)

    def run() -> None:
        forward(*tensors)
        wait()

    with torch.inference_mode():
        for _ in range(settling):
            run()
        return median(times_ms(run, _BUDGET_S, least_runs=3, most_runs=2000))


def _as_they_are(tensors: networks.Tensors) -> networks.Tensors:
    return tensors


def _nothing() -> None:
    """On the CPU a forward is over when it returns."""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
