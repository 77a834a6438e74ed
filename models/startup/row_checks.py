"""Shared by the checks of a row's answer: probe rows, the prepared model as a function, and tolerances.

The `tolerance` of a config does not apply here. It is for arithmetic: random answers of that size would pass.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import torch

from configs.schema import ModelConfig

from ..parity import ROUNDINGS, Tolerance, compare
from ..runtime.layout import Layout
from ..runtime.runner import Runner
from ..runtime.staging import to_device
from ..signature import Array, Rows, Shape, Tensor
from .sample_inputs import SampleInputs

Answer = Callable[[Rows], Sequence[torch.Tensor]]
PROBE_ROWS = 3
# Two random choices between two values are equal every second time; this many are never all equal.
_VALUES = 64
_LONGEST_S = 1.0
# By how many roundings the same rows may differ when they are run again.
_ROUNDINGS = {"cpu": 16, "cuda": 256}
_TWICE = (
    "the forward draws random numbers or keeps state: use nn.Dropout, not functional.dropout, and no counters; "
    "take noise and state as inputs; or write random: true if random numbers are meant"
)
_TWICE_SEEDED = (
    "this is not chance, which random: true allows: the forward keeps state, as a counter does, or draws from numpy, "
    "Python's random or a generator of its own; take state as an input, and draw from torch's own generator"
)


def count_of(most: int) -> int:
    """Return how many rows a probe has where a forward takes `most` at most."""
    return min(PROBE_ROWS, most)


def probe_rows(samples: SampleInputs, most: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return two requests of a few rows each, both of the smallest sizes."""
    rows = count_of(most)
    return samples(rows, seed=11), samples(rows, seed=13)


def staged(samples: SampleInputs, layout: Layout, shape: Shape, seed: int) -> list[torch.Tensor]:
    """Return inputs of this shape on the layout's device, in forward's order."""
    arrays = samples.shaped(shape, seed)
    return [to_device(torch.from_numpy(arrays[tensor.name]), layout) for tensor in samples.model_inputs]


def prepared(runner: Runner, seed: int | None) -> Answer:
    """Return the prepared model as something that answers rows, with copies; each forward draws from `seed`."""

    def answer(rows: Rows) -> list[torch.Tensor]:
        return as_tensors(runner, own_part(runner, rows, runner.run([rows], seed)))

    return answer


def own_part(runner: Runner, rows: Rows, outputs: dict[str, Array]) -> dict[str, Array]:
    """Return of an answer to these rows what a client gets: nothing of the padding."""
    return outputs if runner.cut is None else runner.cut(rows, outputs)


def as_tensors(runner: Runner, outputs: Mapping[str, Array]) -> list[torch.Tensor]:
    """Return copies, in the order of the outputs."""
    return [torch.from_numpy(outputs[tensor.name].copy()) for tensor in runner.outputs]


def repeated(layout: Layout) -> Tolerance:
    """Return how far the same rows may deviate when the same kernels run on them again."""
    return Tolerance(torch.finfo(layout.dtype).eps * _ROUNDINGS[layout.device.type], 0.0)


def same_twice(
    answer: Answer, samples: SampleInputs, layout: Layout, outputs: Sequence[Tensor], random: bool
) -> Sequence[torch.Tensor]:
    """Return the answer to the first of `probe_rows`, run twice with the others in between; raise ModelError if the
    second answer differs.

    The same kernels run on the same numbers, so only the order of additions may differ, and mainly on a GPU. If the
    model is `random`, every answer is from the same seed.
    """
    rows, others = probe_rows(samples, layout.sizes[-1])
    first, _ = answer(rows), answer(others)
    what, advice = "the same input, asked twice,", _TWICE
    if random:
        what, advice = "the same input, asked twice with the same seed,", _TWICE_SEEDED
    compare_again(lambda: answer(rows), first, outputs, repeated(layout), what, advice)
    return first


def compare_again(
    ask: Callable[[], Sequence[torch.Tensor]],
    first: Sequence[torch.Tensor],
    outputs: Sequence[Tensor],
    tolerance: Tolerance,
    what: str,
    advice: str,
) -> None:
    """Run again and compare: once, or, if an answer has few values, until enough are compared or a second is over.

    Raises:
        ModelError: an answer differs from the first.
    """
    began, compared = time.perf_counter(), 0
    while compared == 0 or (compared < _VALUES and time.perf_counter() - began < _LONGEST_S):
        compare(ask(), first, outputs, tolerance, what, advice)
        compared += max(1, sum(each.numel() for each in first))


def rounding(precision: str, config: ModelConfig) -> Tolerance:
    """Rounding, since kernels change with the batch size, and what the config says that a batch may change."""
    standard, given = ROUNDINGS[precision], config.batch_tolerance or 0.0
    return Tolerance(max(standard.relative, given), max(standard.disagree, given))
