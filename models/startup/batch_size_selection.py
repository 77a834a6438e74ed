"""Times the batch sizes again whose rates are too close to tell apart, in turns and for equal times.

The warm-up's fastest run favours small batches: one of many short runs meets a quiet moment, and two long ones may not.
If a larger batch is clearly better, as on a GPU, that changes nothing. But on a CPU core a large network is about as
fast at every size, and the choice would be random.
"""

from collections.abc import Mapping
from statistics import median

from ..runtime.runner import Runner
from ..signature import Shape
from .sample_inputs import SampleInputs
from .warmup import SLOW_MS, run_ms

# Below this share of the best rate a size is slower, however its runs were disturbed.
_CLOSE = 0.85
_TURNS = 3
# Each size gets about the time of the slowest one's forward in a turn, and at least this.
_LEAST_TURN_MS = 50


def select_batch_size(runner: Runner, samples: SampleInputs, forward_ms: Mapping[Shape, float]) -> dict[Shape, float]:
    """Return every forward, in ms: for the sizes that were timed again, the median of those runs.

    If rows differ in size, nothing is timed again: then no single size is chosen (deployments.batching.grouping).
    """
    timed_ms = dict(forward_ms)
    if runner.open_sizes:
        return timed_ms
    close = _close(forward_ms)
    if len(close) < 2:
        return timed_ms
    turn_ms = max(_LEAST_TURN_MS, *(forward_ms[shape] for shape in close))
    drawn = {shape: samples.shaped(shape, seed=5) for shape in close}
    times: dict[Shape, list[float]] = {shape: [] for shape in close}
    for _ in range(_TURNS):
        for shape, rows in drawn.items():
            times[shape] += [run_ms(runner, rows) for _ in range(round(turn_ms / forward_ms[shape]))]
    return timed_ms | {shape: median(each) for shape, each in times.items()}


def _close(forward_ms: Mapping[Shape, float]) -> list[Shape]:
    best = max(shape[0] / ms for shape, ms in forward_ms.items())
    return [shape for shape, ms in forward_ms.items() if shape[0] / ms >= _CLOSE * best and ms <= SLOW_MS]
