"""Runs every batch shape to be served before the first request, and times it on the way."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import ModelError
from ..runtime.runner import Runner
from ..signature import Array, Rows, Shape
from .declared_dtypes import fails
from .sample_inputs import SampleInputs

# TorchScript's executor profiles a shape's first run and optimises in the second; the rest only sharpen the timing.
# They are spread over several rounds of all shapes, since a disturbance of the machine lasts for seconds.
_LEAST_RUNS = 2
_RUNS_A_ROUND = (4, 3, 3)
# On a GPU a shape's first runs include cuDNN autotuning and the compiling of kernels: hundreds of milliseconds, on an
# H100, for a forward of a few. They must neither count as the forward's time nor use up the budget.
_SETTLING_RUNS = 3
_SETTLED_RUNS = 3
_WARM_BUDGET_MS = 300
# A forward that is slower than this runs once in the warm-up, and again where it is compared with eager: a start has no
# time for more.
SLOW_MS = 600


@dataclass(frozen=True, slots=True)
class Warmed:
    """A runner, and the forward of each shape that it ran, in ms.

    `packed_from`: the rows from which its convolutions are packed for the processor; None if they never are.
    """

    runner: Runner
    forward_ms: dict[Shape, float]
    packed_from: int | None = None


def warm(runner: Runner, samples: SampleInputs, shapes: Sequence[Shape] | None = None) -> dict[Shape, float]:
    """Run these shapes, or every one to be served; return the fastest forward of each, in ms."""
    shapes = runner.layout.shapes if shapes is None else shapes
    times: dict[Shape, list[float]] = {shape: [] for shape in shapes}
    for number, most in enumerate(_RUNS_A_ROUND, 1):
        for shape, took_ms in times.items():
            budget_ms = _WARM_BUDGET_MS * number / len(_RUNS_A_ROUND)
            if sum(took_ms) < budget_ms:
                _round(runner, samples.shaped(shape, seed=3), shape, took_ms, most, budget_ms)
    return {shape: min(took_ms) for shape, took_ms in times.items()}


def quick_shapes(runner: Runner, samples: SampleInputs) -> dict[Shape, float]:
    """Run the smallest batch, and every size that is not slow by its time, at the middle sizes; return each in ms."""
    least, *larger = runner.layout.sizes
    middle = tuple(dim.sizes[len(dim.sizes) // 2] for dim in runner.layout.dims)
    times_ms = warm(runner, samples, [(least, middle)])
    row_ms = times_ms[least, middle] / least
    return times_ms | warm(runner, samples, [(rows, middle) for rows in reversed(larger) if rows <= SLOW_MS / row_ms])


def run_again(
    runner: Runner, samples: SampleInputs, forward_ms: Mapping[Shape, float], budget_ms: float
) -> dict[Shape, float]:
    """Run the shapes that an earlier start ran, the quickest first, within a budget by its times.

    Return the fastest forward of each that ran, in ms. The others count as warmed: the forward is the same program at
    every shape.
    """
    ran_ms, spent_ms = dict[Shape, float](), 0.0
    for shape, ms in sorted(forward_ms.items(), key=lambda each: each[1]):
        runner.warmed.add(shape)
        spent_ms += _LEAST_RUNS * ms
        if spent_ms <= budget_ms or not ran_ms:
            rows = samples.shaped(shape, seed=3)
            ran_ms[shape] = min(run_ms(runner, rows) for _ in range(_LEAST_RUNS))
    # TorchScript's first run of a shape took up to 9 times as long as its fifth, its second up to 1.7 times [measured].
    spent_ms = 0.0
    for shape in ran_ms:
        spent_ms += _SETTLED_RUNS * forward_ms[shape]
        if spent_ms <= _WARM_BUDGET_MS:
            rows = samples.shaped(shape, seed=3)
            ran_ms[shape] = min(ran_ms[shape], *(run_ms(runner, rows) for _ in range(_SETTLED_RUNS)))
    return ran_ms


def compared_ms(forward_ms: Mapping[Shape, float], again_ms: Mapping[Shape, float]) -> dict[Shape, float]:
    """Return the forward of each shape, in ms: of a slow one the smaller of both times."""
    return {shape: min(ms, again_ms.get(shape, ms)) if ms > SLOW_MS else ms for shape, ms in forward_ms.items()}


def run_ms(runner: Runner, rows: Rows) -> float:
    """Run rows, and return how long that took, in ms; raise ModelError if the forward fails."""
    began = time.perf_counter()
    try:
        runner.run([rows])
    except ModelError:
        raise
    except Exception as error:  # Whatever the model raises here is the operator's to read, in full.
        raise fails(error, rows, runner.model_inputs, runner.layout) from error
    return (time.perf_counter() - began) * 1000


def _round(
    runner: Runner, rows: dict[str, Array], shape: Shape, took_ms: list[float], most: int, budget_ms: float
) -> None:
    """Add a shape's next runs to `took_ms`, up to so many and until the budget is used."""
    runner.warmed.add(shape)
    for _ in range(_SETTLING_RUNS if runner.overlaps and not took_ms else 0):
        run_ms(runner, rows)
    stop = len(took_ms) + most
    while len(took_ms) < _least_runs(took_ms) or (len(took_ms) < stop and sum(took_ms) < budget_ms):
        took_ms.append(run_ms(runner, rows))


def _least_runs(took_ms: Sequence[float]) -> int:
    return 1 if took_ms and took_ms[0] > SLOW_MS else _LEAST_RUNS
