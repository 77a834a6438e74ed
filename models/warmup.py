"""Runs every batch shape to be served before the first request, and times it on the way."""

import time

from .draw import Draw
from .errors import ModelError
from .runner import Runner
from .signature import Array, Shape

# TorchScript's executor profiles a shape's first run and optimises in the second; the rest only sharpen the timing.
_WARM_RUNS = (2, 10)
# On a GPU a shape's first runs also hold cuDNN's search and the compiling of kernels: hundreds of milliseconds, seen on
# an H100, for a forward of a few. They must neither be taken for the forward nor use up the budget.
_SETTLING_RUNS = 3
_WARM_BUDGET_MS = 300
# Timings of one start scatter by a few per cent: what takes more than this share of another's time is no faster.
WINS = 0.95


def warm(runner: Runner, draw: Draw) -> dict[Shape, float]:
    """Run every shape to be served; return the fastest forward of each, in ms."""
    return {shape: warm_shape(runner, draw, shape) for shape in runner.layout.shapes}


def warm_shape(runner: Runner, draw: Draw, shape: Shape) -> float:
    """Run one shape; return its fastest forward, in ms."""
    rows = draw.shaped(shape, seed=3)
    for _ in range(_SETTLING_RUNS if runner.overlaps else 0):
        _first_forward(runner, rows, shape)
    times: list[float] = []
    while len(times) < _WARM_RUNS[0] or (len(times) < _WARM_RUNS[1] and sum(times) < _WARM_BUDGET_MS):
        began = time.perf_counter()
        _first_forward(runner, rows, shape)
        times.append((time.perf_counter() - began) * 1000)
    runner.warmed.add(shape)
    return min(times)


def _first_forward(runner: Runner, rows: dict[str, Array], shape: Shape) -> None:
    try:
        outputs = runner.run([rows])
    except ModelError:
        raise
    except Exception as error:  # Whatever the model raises here is the operator's to read, in full.
        raise ModelError(
            f"the model fails on a batch of {shape[0]} rows: {type(error).__name__}: {error}\n"
            "help: compare inputs in the config with what forward expects (dtype, shape, order)"
        ) from error
    for tensor in runner.outputs:
        got = outputs[tensor.name].shape
        if got[0] != shape[0] or got[1:] != tensor.shape[1:]:
            raise ModelError(
                f"output {tensor.name!r} has shape {list(got)} for {shape[0]} rows, the config says "
                f"{list(tensor.shape)}\nhelp: correct outputs in the config; the first dimension must count rows"
            )
