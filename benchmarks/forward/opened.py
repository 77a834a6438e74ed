"""A model opened as a replica opens it, in this process: what its forward does with no server around it.

Run as a program it prints JSON, the milliseconds by rows: python -m benchmarks.forward.opened CONFIG MODEL
"""

import json
import sys
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from configs.loader import load
from models.runtime.runner import Runner
from models.signature import Array, Rows, Shape
from models.startup.open_model import OpenedModel, open_model
from pitstop.measure.timing import times_ms

from ..workloads import WORKLOADS

_BUDGET_S = 0.5


def main(config: str, name: str) -> None:
    served, workload = opened(Path(config), name), WORKLOADS[name]
    inputs, waiting = workload.inputs(), workload.connections[-1]
    rows = rows_of(served, inputs) * ceil(waiting / len(inputs))
    print(json.dumps(forward_ms(served.runner, rows, waiting)))


def opened(config: Path, name: str) -> OpenedModel:
    """Open a model of a config on the CPU, with the threads that a replica has, and by what was found before."""
    found = next(each.config for each in load(config).models if each.name == name)
    torch.set_num_threads(found.threads)
    return open_model(found, "cpu", kept=True)


def rows_of(served: OpenedModel, inputs: Sequence[Any]) -> list[Rows]:
    """Return each input as the one row of a request, preprocessed."""
    name, hook = served.samples.inputs[0].name, served.samples.preprocess
    rows: list[Rows] = [{name: _row(each)} for each in inputs]
    return rows if hook is None else [hook(each) for each in rows]


def forward_ms(runner: Runner, rows: Sequence[Rows], waiting: int) -> dict[int, float]:
    """Return, for each batch size, the milliseconds for so many rows: the forward alone, on ready tensors.

    Of as many rows as wait at a time those of like size share a batch, as a server that sees them all may have it.
    """
    timed: dict[Shape, float] = {}
    found = {}
    for size in (each for each in runner.layout.sizes if each <= waiting):
        batches = list(_batches(runner, rows, waiting, size))
        found[size] = sum(_ms(runner, each, timed) for each in batches) / len(batches)
    return found


def _row(value: Any) -> Array:
    return np.array([value.encode()], object) if isinstance(value, str) else np.asarray(value)[None]


def _batches(runner: Runner, rows: Sequence[Rows], waiting: int, size: int) -> Iterator[Sequence[Rows]]:
    for at in range(0, len(rows) - waiting + 1, waiting):
        alike = sorted(rows[at : at + waiting], key=lambda row: runner.shape([row])[1])
        yield from (alike[begin : begin + size] for begin in range(0, waiting, size))


def _ms(runner: Runner, rows: Sequence[Rows], timed: dict[Shape, float]) -> float:
    shape = runner.shape(rows)
    if shape not in timed:
        inputs = runner.stage(rows).inputs
        with torch.inference_mode():
            runner.forward(*inputs)
            timed[shape] = median(times_ms(lambda: runner.forward(*inputs), _BUDGET_S, least_runs=2))
    return timed[shape]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
