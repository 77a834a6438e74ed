"""What a row's answer may depend on: its own numbers, and nothing else.

Not on chance or on earlier rows, not on its padding, and not on the rows beside it. None of this depends on the
`tolerance` of a config, which is for arithmetic alone: noise of that size would pass.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from configs.schema import ModelConfig

from .draw import Draw, stretch
from .errors import ModelError
from .layout import Layout
from .parity import TOLERANCES, OffError, Tolerance, compare, tolerance_for
from .reference import Reference
from .runner import Runner
from .signature import Array, Rows, Tensor
from .user_code import described

_log = logging.getLogger("pitstop")
Answer = Callable[[Rows], Sequence[torch.Tensor]]
_PROBE_ROWS = 3
# How many roundings the same rows may differ by when they are asked again.
_ROUNDINGS = {"cpu": 16, "cuda": 256}
# What strangers' numbers are multiplied by: no row's answer may depend on how large another's are.
_LARGE = 1000
# So many lengths are tried where a network does not take every one: it may want a multiple of some number.
_TRIED = 64
# Up to here a deviation may be meant, as where int8 activations are scaled by the batch; beyond it is a fault.
_MAY_BE_MEANT = 0.1
_MEANT = "or allow it where it is meant, as with int8 activations, whose scale is the batch's"
_TWICE = (
    "the forward draws random numbers or keeps state: use nn.Dropout, not functional.dropout, and no counters; "
    "take noise and state as inputs"
)
_PADDING = "the network reads its padding, zeros behind the row: mask it in forward, or fix the size in shape"
_BESIDE = (
    "rows influence each other: batch statistics, a decision over the whole batch, attention over it, or padding to "
    "the longest row that no mask hides; fix the model, or use max_rows: 1"
)


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


def count_of(most: int) -> int:
    """Return how many rows a probe has where a forward takes `most` at most."""
    return min(_PROBE_ROWS, most)


def probe_rows(draw: Draw, most: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return two requests of a few rows each, both of the shortest length."""
    rows = count_of(most)
    return draw(rows, seed=11), draw(rows, seed=13)


def prepared(runner: Runner) -> Answer:
    """Return the prepared model as something that answers rows, with copies."""

    def answer(rows: Rows) -> list[torch.Tensor]:
        found = runner.run([rows])
        return [torch.from_numpy(found[tensor.name].copy()) for tensor in runner.outputs]

    return answer


def repeated(layout: Layout) -> Tolerance:
    """Return how far the same rows may be off when the same kernels run on them again."""
    return Tolerance(torch.finfo(layout.dtype).eps * _ROUNDINGS[layout.device.type], 0.0)


def same_twice(answer: Answer, draw: Draw, layout: Layout, outputs: Sequence[Tensor]) -> Sequence[torch.Tensor]:
    """Return the answer to the first of `probe_rows`, asked twice with the others in between; a ModelError where it
    is another the second time.

    The same kernels run on the same numbers, so only the order of additions may differ, and only on a GPU by much.
    """
    rows, others = probe_rows(draw, layout.sizes[-1])
    first, _, second = answer(rows), answer(others), answer(rows)
    compare(second, first, outputs, repeated(layout), "the same input, asked twice,", _TWICE)
    return first


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
        worst = _padded_rows(runner, reference, draw, config)
    return worst


def _padded_rows(runner: Runner, reference: Reference, draw: Draw, config: ModelConfig) -> float | None:
    """Compare a row that is padded with copies of itself with the same row alone, where eager takes one alone."""
    row, what = draw(1, seed=17), f"a row padded to {runner.layout.sizes[0]} rows"
    try:
        alone = reference(row)
    except Exception:  # The user's own code: a network may want two rows at least, as batch_sizes then says.
        return None
    if any(value.shape[:1] != (1,) for value in alone):
        return None
    return _off(prepared(runner)(row), alone, runner.outputs, _arithmetic(config), what, _BESIDE)


def _padded_to(
    length: int, before: int, runner: Runner, reference: Reference, draw: Draw, config: ModelConfig
) -> float:
    """Compare rows that take this length unpadded with the same rows padded, by eager and as prepared."""
    rows = count_of(runner.layout.sizes[-1])
    # Where one row makes a batch, three requests show what one of three rows does.
    seeds = range(17, 17 + _PROBE_ROWS // rows)
    worst = 0.0
    for seed in seeds:
        for row, alone in _shorter(draw.shaped((rows, length), seed), length, before, reference):
            padded = {tensor.name: stretch(row[tensor.name], tensor, length) for tensor in draw.feed}
            kept = max(row[name].shape[1] for name in runner.open_inputs)
            what = f"a row of length {kept}, padded to {length} and unpadded,"
            strict, arithmetic = _strict(reference.precision, config), _arithmetic(config)
            own = _off(reference(padded), alone, runner.outputs, strict, what, _PADDING)
            worst = max(worst, own, _off(prepared(runner)(row), alone, runner.outputs, arithmetic, what, _PADDING))
    return worst


def _shorter(
    whole: Rows, length: int, before: int, reference: Reference
) -> list[tuple[dict[str, Array], list[torch.Tensor]]]:
    """Return rows that eager takes and that are padded to this length, with their answers.

    They are the shortest, some of half the padding and the longest. A network may want so many steps, or a multiple of
    some number, and give numbers only from some length on: so for each, lengths are tried until one suits.
    """
    found: dict[int, tuple[dict[str, Array], list[torch.Tensor]]] = {}
    failure = "its answers there have no finite number"
    middle = (before + 1 + length) // 2
    jumps = [before + (1 << power) for power in range((length - before).bit_length())]
    for tried in (
        [*range(before + 1, min(length, before + 1 + _TRIED)), *(each for each in jumps if each < length)],
        range(middle, min(length, middle + _TRIED)),
        range(length - 1, max(before, length - 1 - _TRIED), -1),
    ):
        for kept in tried:
            row = {
                tensor.name: whole[tensor.name] if tensor.fixed else np.ascontiguousarray(whole[tensor.name][:, :kept])
                for tensor in reference.feed
            }
            try:
                alone = reference(row)
            except Exception as error:  # The user's own code; whatever it raises, this length does not suit it.
                failure = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
                continue
            if all(not value.is_floating_point() or bool(value.isfinite().any()) for value in alone):
                found[kept] = row, alone
                break
    if not found:
        raise ModelError(
            f"lengths: eager accepts no unpadded row shorter than {length} ({failure}), so padding "
            "cannot be checked\nhelp: write the size into shape, and let clients or preprocess pad rows to it"
        )
    return list(found.values())


def _beside(runner: Runner, draw: Draw, config: ModelConfig) -> float | None:
    """Compare rows alone with the same rows in company.

    The strangers take the longest shape: first one, then a whole batch of them with large numbers, where nothing says
    how large an input may be. A config that allows an influence of the batch knows that it grows with such numbers.
    """
    layout = runner.layout
    if layout.sizes[-1] == 1:
        return None
    rows, _ = probe_rows(draw, layout.sizes[-1])
    room = layout.sizes[-1] - rows[runner.feed[0].name].shape[0]
    longest = layout.lengths[-1] if layout.lengths else 0
    if not room:
        return _in_company(runner, rows, [], config)
    worst = _in_company(runner, rows, [draw.shaped((1, longest), seed=12)], config)
    if config.batch_tolerance is None:
        strangers = _enlarged(draw, draw.shaped((room, longest), seed=14))
        try:
            worst = max(worst, _in_company(runner, rows, [strangers], config))
        except ModelError:
            raise
        except Exception as error:  # The user's own code: it may refuse such numbers, and they then fail alone.
            _log.info("large numbers beside a row are not checked: on them the network raises %s", described(error))
    return worst


def _enlarged(draw: Draw, rows: dict[str, Array]) -> dict[str, Array]:
    """Return rows with large numbers in the float inputs of which the config gives no range."""
    free: set[str] = (
        set() if draw.preprocess else {each.name for each in draw.feed if each.low is None and each.high is None}
    )
    return {
        name: (array * _LARGE).astype(array.dtype) if array.dtype.kind == "f" and name in free else array
        for name, array in rows.items()
    }


def _in_company(runner: Runner, rows: Rows, company: Sequence[Rows], config: ModelConfig) -> float:
    count = rows[runner.feed[0].name].shape[0]
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
