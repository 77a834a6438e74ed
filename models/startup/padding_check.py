"""Whether a row's answer depends on its padding: rows are run unpadded and padded, eagerly and as prepared."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import torch

from configs.schema import ModelConfig

from ..errors import ModelError, first_line
from ..parity import DeviationError, Tolerance, compare, tolerance_for
from ..runtime.layout import Layout
from ..runtime.runner import Runner
from ..signature import Array, Rows
from . import co_batched_rows
from .check_results import Padding
from .eager_reference import Reference
from .row_checks import PROBE_ROWS, count_of, prepared, rounding
from .sample_inputs import SampleInputs, stretch

# How many lengths are tried if a network does not take every one: it may want a multiple of some number.
_TRIED = 64
_WHOLE = "not compared: the rows of a request belong together, and none are added to them; waived by batch"
_DRAWS = "not compared: a batch of another size draws other random numbers; waived by random"
_ADVICE = "the network reads its padding, zeros behind the row: mask it in forward, or fix the size in shape"
_Answered = tuple[dict[str, Array], list[torch.Tensor]]


def padding(runner: Runner, reference: Reference, samples: SampleInputs, config: ModelConfig) -> Padding:
    """Return how far a row's answer depends on its padding; raise ModelError if too far."""
    layout = runner.layout
    if config.whole and not layout.lengths and layout.sizes[-1] > 1:
        return Padding("waived", reason=_WHOLE, waived_by="batch")
    if config.random and _pads(layout):
        return Padding("waived", reason=_DRAWS, waived_by="random")
    worst = _worst(runner, reference, samples, config)
    if worst is None:
        return Padding("not_applicable", reason="nothing is padded")
    if config.batch_tolerance is not None:
        return Padding("waived", worst, waived_by="batch_tolerance", allowed=config.batch_tolerance)
    return Padding("passed", worst)


def _pads(layout: Layout) -> bool:
    """Whether a row on its own may be padded."""
    if layout.lengths:
        return any(length - before > 1 for before, length in pairwise((0, *layout.lengths)))
    return layout.sizes[0] > 1


def _worst(runner: Runner, reference: Reference, samples: SampleInputs, config: ModelConfig) -> float | None:
    layout = runner.layout
    if not layout.lengths:
        return _with_rows(runner, reference, samples, config) if layout.sizes[0] > 1 else None
    deviations = [
        _to_length(length, before, runner, reference, samples, config)
        for before, length in pairwise((0, *layout.lengths))
        if length - before > 1
    ]
    return max(deviations, default=None)


def _with_rows(runner: Runner, reference: Reference, samples: SampleInputs, config: ModelConfig) -> float | None:
    """Compare a row padded with copies of itself with the same row alone, if eager takes one row.

    In eager too, where `tolerance` does not apply.
    """
    size = runner.layout.sizes[0]
    row, what = samples(1, seed=17), f"a row padded to {size} rows"
    try:
        alone = reference(row)
    except Exception:  # The user's own code: a network may need at least two rows, as batch_sizes then says.
        return None
    if any(value.shape[:1] != (1,) for value in alone):
        return None
    padded = {name: np.repeat(array, size, axis=0) for name, array in row.items()}
    eagerly = [value[:1] for value in reference(padded)], rounding(reference.precision, config)
    worst = 0.0
    for answered, allowed in (eagerly, (prepared(runner, None)(row), _arithmetic(config))):
        try:
            by = compare(answered, alone, runner.outputs, allowed, what, co_batched_rows.ADVICE)
        except DeviationError as error:
            co_batched_rows.refuse(error)
        worst = max(worst, *by.values(), 0.0)
    return worst


def _to_length(
    length: int, before: int, runner: Runner, reference: Reference, samples: SampleInputs, config: ModelConfig
) -> float:
    """Compare rows that take this length unpadded with the same rows padded."""
    rows = count_of(runner.layout.sizes[-1])
    eager_may, prepared_may = rounding(reference.precision, config), _arithmetic(config)
    worst = 0.0
    # If a batch is one row, three of them take the place of one of three rows.
    for seed in range(17, 17 + PROBE_ROWS // rows):
        for row, alone in _shorter(samples.shaped((rows, length), seed), length, before, reference):
            padded = {tensor.name: stretch(row[tensor.name], tensor, length) for tensor in samples.model_inputs}
            kept = max(row[name].shape[1] for name in runner.open_inputs)
            what = f"a row of length {kept}, padded to {length} and unpadded,"
            for answer, asked, allowed in ((reference, padded, eager_may), (prepared(runner, None), row, prepared_may)):
                compared = compare(answer(asked), alone, runner.outputs, allowed, what, _ADVICE)
                worst = max(worst, *compared.values(), 0.0)
    return worst


def _shorter(whole: Rows, length: int, before: int, reference: Reference) -> list[_Answered]:
    """Return rows that eager takes and that are padded to this length, with their answers.

    One is the shortest possible, one has half the padding, one is the longest possible. A network may need a least
    length or a multiple of some number: so for each, lengths are tried until one suits.
    """
    answered: dict[int, _Answered] = {}
    failure = "its answers there have no finite number"
    for lengths in _tried(length, before):
        for kept in lengths:
            row = _cut(whole, kept, reference)
            try:
                alone = reference(row)
            except Exception as error:  # The user's own code: whatever it raises, this length does not suit.
                failure = first_line(error)
                continue
            if all(not value.is_floating_point() or bool(value.isfinite().any()) for value in alone):
                answered[kept] = row, alone
                break
    if not answered:
        raise ModelError(
            f"lengths: eager accepts no unpadded row shorter than {length} ({failure}), so padding "
            "cannot be checked\nhelp: write the size into shape, and let clients or preprocess pad rows to it"
        )
    return list(answered.values())


def _tried(length: int, before: int) -> Iterator[Iterable[int]]:
    """Yield the lengths to try for the shortest row, for one of half the padding, and for the longest."""
    middle = (before + 1 + length) // 2
    jumps = [before + (1 << power) for power in range((length - before).bit_length())]
    yield [*range(before + 1, min(length, before + 1 + _TRIED)), *(each for each in jumps if each < length)]
    yield range(middle, min(length, middle + _TRIED))
    yield range(length - 1, max(before, length - 1 - _TRIED), -1)


def _cut(whole: Rows, kept: int, reference: Reference) -> dict[str, Array]:
    return {
        tensor.name: whole[tensor.name] if tensor.fixed else np.ascontiguousarray(whole[tensor.name][:, :kept])
        for tensor in reference.model_inputs
    }


def _arithmetic(config: ModelConfig) -> Tolerance:
    """Return the tolerance against eager, or that for rows in a batch, whichever is larger."""
    own, strict = tolerance_for(config.precision, config.tolerance), rounding(config.precision, config)
    return Tolerance(max(own.relative, strict.relative), max(own.disagree, strict.disagree))
