"""What a row's answer may depend on: its own numbers, and nothing else.

Not on chance or on earlier rows, not on its padding, and not on the rows beside it. None of this depends on the
`tolerance` of a config, which is for arithmetic alone: noise of that size would pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from configs.schema import ModelConfig

from .draw import Draw, stretch
from .errors import ModelError
from .parity import TOLERANCES, OffError, Tolerance, compare, tolerance_for
from .reference import Reference
from .runner import Runner
from .signature import Array, Rows, Tensor

Answer = Callable[[Rows], Sequence[torch.Tensor]]
_PROBE_ROWS = 3
# Up to here a deviation may be meant, as where int8 activations are scaled by the batch; beyond it is a fault.
_MAY_BE_MEANT = 0.1
_MEANT = "or allow it where it is meant, as with int8 activations, whose scale is the batch's"
_TWICE = (
    "the forward draws random numbers or keeps state: use nn.Dropout, not functional.dropout, and no counters; "
    "take noise and state as inputs"
)
_PADDING = "the network reads its padding, zeros behind the row: mask it in forward, or fix the size in shape"
_BESIDE = "rows influence each other: batch statistics, or attention over the batch; fix the model, or use max_rows: 1"


@dataclass(frozen=True, slots=True)
class Dependence:
    """How far padding and the rows beside it change a row's answer; None where there is none of either."""

    padded: float | None
    beside: float | None
    allowed: float | None

    def describe(self) -> str:
        """Return what was found, and what the config allows of it."""
        beside, padded = "one row a forward, so none has company", "nothing is padded"
        if self.beside is not None:
            beside = f"alone and in company a row's answer differs by {self.beside:.1e} of its size"
        if self.padded is not None:
            padded = f"padded and unpadded by {self.padded:.1e}"
        waived = "" if self.allowed is None else f"; allowed by batch_tolerance: {self.allowed:g}"
        return f"{beside}; {padded}{waived}"


def probe_rows(draw: Draw, most: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return two requests of a few rows each, both of the shortest length."""
    rows = min(_PROBE_ROWS, most)
    return draw(rows, seed=11), draw(rows, seed=13)


def prepared(runner: Runner) -> Answer:
    """Return the prepared model as something that answers rows, with copies."""

    def answer(rows: Rows) -> list[torch.Tensor]:
        found = runner.run([rows])
        return [torch.from_numpy(found[tensor.name].copy()) for tensor in runner.outputs]

    return answer


def same_twice(answer: Answer, draw: Draw, most: int, outputs: Sequence[Tensor], precision: str) -> None:
    """Raise a ModelError where the same rows are answered otherwise the second time, with others in between."""
    rows, others = probe_rows(draw, most)
    first, _, second = answer(rows), answer(others), answer(rows)
    compare(second, first, outputs, TOLERANCES[precision], "the same input, asked twice,", _TWICE)


def dependence(runner: Runner, reference: Reference, draw: Draw, config: ModelConfig) -> Dependence:
    """Return how far a row's answer depends on its padding, then on its company; a ModelError where too far."""
    padded = _padded(runner, reference, draw, config)
    return Dependence(padded, _beside(runner, draw, config), config.batch_tolerance)


def _padded(runner: Runner, reference: Reference, draw: Draw, config: ModelConfig) -> float | None:
    layout, worst = runner.layout, None
    for before, length in zip((0, *layout.lengths), layout.lengths, strict=False):
        if length - before > 1:
            worst = max(worst or 0.0, _padded_to(length, before, runner, reference, draw, config))
    if not layout.lengths and layout.sizes[0] > 1:
        row, what = draw(1, seed=17), f"a row padded to {layout.sizes[0]} rows"
        worst = _off(prepared(runner)(row), reference(row), runner.outputs, _arithmetic(config), what, _BESIDE)
    return worst


def _padded_to(
    length: int, before: int, runner: Runner, reference: Reference, draw: Draw, config: ModelConfig
) -> float:
    """Compare the shortest row that takes this length unpadded with the same row padded, by eager and as prepared."""
    whole = draw.shaped((1, length), seed=17)
    row, alone = _shortest(whole, length, before, reference)
    padded = {tensor.name: stretch(row[tensor.name], tensor, length) for tensor in draw.feed}
    kept = max(row[name].shape[1] for name in runner.open_inputs)
    what = f"a row of length {kept}, padded to {length} and unpadded,"
    own = _off(reference(padded), alone, runner.outputs, _strict(reference.precision, config), what, _PADDING)
    return max(own, _off(prepared(runner)(row), alone, runner.outputs, _arithmetic(config), what, _PADDING))


def _shortest(
    whole: Rows, length: int, before: int, reference: Reference
) -> tuple[dict[str, Array], list[torch.Tensor]]:
    """Return the shortest row that eager takes and that is padded to this length, with its answer.

    A network may want so many steps, or a multiple of some: so lengths are tried in steps of powers of two.
    """
    failure = ""
    steps = [before + (1 << power) for power in range((length - before - 1).bit_length())]
    for kept in [each for each in steps if each < length] + [length - 1]:
        row = {
            tensor.name: whole[tensor.name] if tensor.fixed else np.ascontiguousarray(whole[tensor.name][:, :kept])
            for tensor in reference.feed
        }
        try:
            return row, reference(row)
        except Exception as error:  # The user's own code; whatever it raises, this length does not suit it.
            failure = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
    raise ModelError(
        f"lengths: eager takes no row shorter than {length} unpadded ({failure}), so its padding "
        "cannot be checked\nhelp: fix the size in shape, and let clients or preprocess bring rows to it"
    )


def _beside(runner: Runner, draw: Draw, config: ModelConfig) -> float | None:
    """Compare rows alone with the same rows in company; the strangers take the longest shape."""
    layout = runner.layout
    if layout.sizes[-1] == 1:
        return None
    rows, _ = probe_rows(draw, layout.sizes[-1])
    count = rows[runner.feed[0].name].shape[0]
    longest = layout.lengths[-1] if layout.lengths else 0
    company = [draw.shaped((1, longest), seed=12)] if layout.sizes[-1] > count else []
    found = runner.run([rows, *company])
    together = [torch.from_numpy(found[tensor.name].copy()) for tensor in runner.outputs]
    answer, allowed, worst = prepared(runner), _strict(config.precision, config), 0.0
    for row in range(count):
        alone = answer({name: array[row : row + 1] for name, array in rows.items()})
        expected = [tensor[row : row + 1] for tensor in together]
        worst = max(worst, _off(alone, expected, runner.outputs, allowed, "a row alone and in company", _BESIDE))
    return worst


def _off(
    found: Sequence[torch.Tensor],
    expected: Sequence[torch.Tensor],
    outputs: Sequence[Tensor],
    allowed: Tolerance,
    what: str,
    advice: str,
) -> float:
    try:
        return max(compare(found, expected, outputs, allowed, what, advice).values(), default=0.0)
    except OffError as error:
        if advice == _BESIDE and error.off < _MAY_BE_MEANT:
            raise ModelError(f"{error}; {_MEANT}: batch_tolerance: {2 * error.off:.1g}") from error
        raise


def _strict(precision: str, config: ModelConfig) -> Tolerance:
    """Rounding, since kernels change with the batch size, and what the config says that a batch may change."""
    standard, given = TOLERANCES[precision], config.batch_tolerance or 0.0
    return Tolerance(max(standard.relative, given), max(standard.disagree, given))


def _arithmetic(config: ModelConfig) -> Tolerance:
    """What the prepared model may be off eager, and what the config says that a batch may change."""
    own, strict = tolerance_for(config.precision, config.tolerance), _strict(config.precision, config)
    return Tolerance(max(own.relative, strict.relative), max(own.disagree, strict.disagree))
