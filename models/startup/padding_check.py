"""Whether a row's answer depends on its padding: rows are run unpadded and padded, eagerly and as prepared."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch

from configs.schema import ModelConfig

from ..errors import ModelError, first_line
from ..parity import DeviationError, Tolerance, compare, tolerance_for
from ..runtime.dims import Dim, by_name
from ..runtime.layout import Layout
from ..runtime.runner import Runner
from ..signature import Array, Rows
from . import co_batched_rows
from .advice import of_prepared
from .check_results import Padding
from .eager_reference import Reference
from .row_checks import PROBE_ROWS, count_of, prepared, rounding
from .sample_inputs import SampleInputs, lowered, stretch

# How many sizes are tried if a network does not take every one: it may want a multiple of some number.
_TRIED = 64
_WHOLE = "not compared: the rows of a request belong together, and none are added to them; waived by batch"
_NEVER = "no row is padded; at sizes that were not warmed answers are within {:.1e} of eager's"
_DRAWS = "not compared: a batch of another size draws other random numbers; waived by random"
_ADVICE = (
    "the network reads its padding behind the row: mask it in forward, or fix the size in shape; or write pad: none in "
    "dims, so that only rows of equal size share a forward"
)
_Answered = tuple[dict[str, Array], list[torch.Tensor]]


def padding(
    runner: Runner, reference: Reference, samples: SampleInputs, config: ModelConfig, compiled: bool
) -> Padding:
    """Return how far a row's answer depends on its padding; raise ModelError if too far.

    `compiled`: the runner's forward is not the network's own, which the config could name instead.
    """
    layout = runner.layout
    _refuse_uneven(samples, runner)
    if config.whole and not layout.dims and layout.sizes[-1] > 1:
        return Padding("waived", reason=_WHOLE, waived_by="batch")
    if config.random and _pads(layout):
        return Padding("waived", reason=_DRAWS, waived_by="random")
    worst = _worst(runner, reference, samples, config, compiled)
    if worst is None:
        return Padding("not_applicable", reason="nothing is padded")
    if runner.layout.dims and not any(dim.padded for dim in runner.layout.dims):
        return Padding("passed", worst, reason=_NEVER.format(worst))
    if config.batch_tolerance is not None:
        return Padding("waived", worst, waived_by="batch_tolerance", allowed=config.batch_tolerance)
    return Padding("passed", worst)


def _refuse_uneven(samples: SampleInputs, runner: Runner) -> None:
    """Raise ModelError if the preprocessing returns arrays that differ in a size which must be one."""
    if samples.preprocess is None:
        return
    for sizes in {tuple(dim.sizes[end] for dim in runner.layout.dims) for end in (0, -1)}:
        if sentence := runner.open_sizes.uneven(samples(PROBE_ROWS, 11, sizes)):
            raise ModelError(
                f"preprocess: {sentence}\n"
                "help: pad the smaller there, a mask with 0; or write model_inputs, with a name in dims for each size"
            )


def _pads(layout: Layout) -> bool:
    """Whether a row on its own may be padded."""
    if layout.dims:
        return any(_is_between(*each) for dim in layout.dims if dim.padded for each in _steps(dim))
    return layout.sizes[0] > 1


def _steps(dim: Dim) -> Iterator[tuple[int, int]]:
    """Yield each size with the one before it: rows in between are padded up to it."""
    yield from pairwise((0, *dim.sizes))


def _is_between(before: int, size: int) -> bool:
    return size - before > 1


def _worst(
    runner: Runner, reference: Reference, samples: SampleInputs, config: ModelConfig, compiled: bool
) -> float | None:
    layout = runner.layout
    if not layout.dims:
        return _with_rows(runner, reference, samples, config, compiled) if layout.sizes[0] > 1 else None
    deviations = [
        _to_size(dim, size, before, runner, reference, samples, config, compiled)
        for dim in layout.dims
        for before, size in _steps(dim)
        if _is_between(before, size)
    ]
    return max(deviations, default=None)


def _with_rows(
    runner: Runner, reference: Reference, samples: SampleInputs, config: ModelConfig, compiled: bool
) -> float | None:
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
    advice = co_batched_rows.ADVICE
    eagerly = [value[:1] for value in reference(padded)], rounding(reference.precision, config), advice
    advice = of_prepared(config.precision, compiled, advice)
    worst = 0.0
    for answered, allowed, cure in (eagerly, (prepared(runner, None)(row), _arithmetic(config), advice)):
        try:
            by = compare(answered, alone, runner.outputs, allowed, what, cure)
        except DeviationError as error:
            co_batched_rows.refuse(error)
        worst = max(worst, *by.values(), 0.0)
    return worst


def _to_size(
    dim: Dim,
    size: int,
    before: int,
    runner: Runner,
    reference: Reference,
    samples: SampleInputs,
    config: ModelConfig,
    compiled: bool,
) -> float:
    """Compare rows that take this size of a dimension unpadded with the same rows padded; the others are full.

    Where the dimension is not padded, rows of sizes that were not warmed are compared with eager.
    """
    rows = count_of(runner.layout.sizes[-1])
    sizes = tuple(size if each is dim else each.sizes[0] for each in runner.layout.dims)
    eager_may, prepared_may = rounding(reference.precision, config), _arithmetic(config)
    worst = 0.0
    # If a batch is one row, three of them take the place of one of three rows.
    for seed in range(17, 17 + PROBE_ROWS // rows):
        whole = samples.shaped((rows, sizes), seed)
        found = [(sizes, *each) for each in _smaller(whole, dim, size, before, reference)]
        if not found and dim.padded:
            raise _no_smaller(whole, dim, size, reference)
        if len(runner.layout.dims) > 1:
            roomy = tuple(size if each is dim else _with_room(each)[1] for each in runner.layout.dims)
            halved = _halved(samples.shaped((rows, roomy), seed), dim, runner, reference)
            found += [(roomy, *each) for each in _smaller(halved, dim, size, before, reference)]
        for full, row, alone in found:
            of = by_name(runner.layout.dims, full)
            _refuse_other_sizes(samples, row, alone, runner)
            kept = samples.sizes_of(row)[dim.name]
            which = f"size {kept} of {dim.name}" if dim.name else f"length {kept}"
            if dim.padded:
                what = f"a row of {which}, padded to {size} and unpadded,"
                cure = of_prepared(config.precision, compiled, _ADVICE)
                padded = {each.name: stretch(row[each.name], each, of) for each in reference.model_inputs}
                answers = [(reference(padded), eager_may, _ADVICE), (prepared(runner, None)(row), prepared_may, cure)]
            else:
                what = f"a row of {which}, which no batch was warmed with,"
                cure = of_prepared(config.precision, compiled, co_batched_rows.ADVICE)
                answers = [(prepared(runner, None)(row), prepared_may, cure)]
            for answered, allowed, advice in answers:
                compared = compare(_cut_to(answered, alone), alone, runner.outputs, allowed, what, advice)
                worst = max(worst, *compared.values(), 0.0)
    return worst


def _cut_to(padded: Sequence[torch.Tensor], alone: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Cut answers to padded rows to the sizes that they have unpadded."""
    return [
        value[tuple(slice(size) for size in own.shape)] if value.dim() == own.dim() else value
        for value, own in zip(padded, alone, strict=True)
    ]


def _refuse_other_sizes(samples: SampleInputs, row: Rows, alone: list[torch.Tensor], runner: Runner) -> None:
    """Raise ModelError if an output has other sizes, for a row unpadded, than the config says of it.

    Also for one without an open size: that of an input may be the same at the sizes that are warmed, and a client would
    get the padding.
    """
    of = samples.sizes_of(row)
    for tensor, value in zip(runner.outputs, alone, strict=True):
        wanted, given = tensor.sized(of), tuple(value.shape[1:])
        if len(wanted) != len(given) or any(want not in (-1, size) for want, size in zip(wanted, given, strict=True)):
            said = ", ".join(f"{name or 'the length'} {size}" for name, size in of.items())
            raise ModelError(
                f"output {tensor.name!r} has sizes {list(given)} where {said}, the config says {list(wanted)}\n"
                "help: correct the shape: a size that follows a dimension has its name, as height, height/4, which "
                "rounds up, height//4, which rounds down, tokens-2, frames*256; a size that follows otherwise is a "
                "count, which forward must return"
            )


def _smaller(whole: Rows, dim: Dim, size: int, before: int, reference: Reference) -> list[_Answered]:
    """Return rows that eager takes and that are padded to this size, with their answers.

    One is the smallest possible, one has half the padding, one is the largest possible. A network may need a least
    size or a multiple of some number: so for each, sizes are tried until one suits.
    """
    answered: dict[int, _Answered] = {}
    for sizes in _tried(size, before):
        for kept in sizes:
            row = _cut(whole, dim, kept, reference)
            try:
                alone = reference(row)
            except Exception:  # The user's own code: whatever it raises, this size does not suit.
                continue
            if all(
                not value.is_floating_point() or not value.numel() or bool(value.isfinite().any()) for value in alone
            ):
                answered[kept] = row, alone
                break
    return list(answered.values())


def _no_smaller(whole: Rows, dim: Dim, size: int, reference: Reference) -> ModelError:
    failure = "its answers there have no finite number"
    try:
        reference(_cut(whole, dim, size - 1, reference))
    except Exception as error:  # As above.
        failure = first_line(error)
    what = (
        f"dims: {dim.name}: eager accepts no unpadded row smaller"
        if dim.name
        else ("lengths: eager accepts no unpadded row shorter")
    )
    return ModelError(
        f"{what} than {size} ({failure}), so padding cannot be checked\n"
        "help: write the size into shape, and let clients or preprocess pad rows to it"
    )


def _with_room(dim: Dim) -> tuple[int, int]:
    """Return the first size to which rows in between are padded, with the one before it; the first, if there is none.

    That before a first size of 1 has no room.
    """
    return next((each for each in _steps(dim) if dim.padded and _is_between(*each)), (0, dim.sizes[0]))


def _halved(whole: Rows, but: Dim, runner: Runner, reference: Reference) -> Rows:
    """Return rows of half the room in every other dimension that is padded: all are padded at once then."""
    for dim in runner.layout.dims:
        if dim.padded and dim is not but:
            before, size = _with_room(dim)
            whole = _cut(whole, dim, (before + size + 1) // 2, reference)
    return whole


def _tried(size: int, before: int) -> Iterator[Iterable[int]]:
    """Yield the sizes to try for the smallest row, for one of half the padding, and for the largest."""
    middle = (before + 1 + size) // 2
    jumps = [before + (1 << power) for power in range((size - before).bit_length())]
    yield [*range(before + 1, min(size, before + 1 + _TRIED)), *(each for each in jumps if each < size)]
    yield range(middle, min(size, middle + _TRIED))
    yield range(size - 1, max(before, size - 1 - _TRIED), -1)


def _cut(whole: Rows, dim: Dim, kept: int, reference: Reference) -> dict[str, Array]:
    """Cut one dimension of rows to a size."""
    cut = dict(whole)
    for tensor in reference.model_inputs:
        for each in tensor.named:
            if each.name == dim.name:
                cut[tensor.name] = cut[tensor.name].take(range(kept), axis=each.axis)
    cut = lowered(cut, reference.model_inputs, kept)
    return {tensor.name: np.ascontiguousarray(cut[tensor.name]) for tensor in reference.model_inputs}


def _arithmetic(config: ModelConfig) -> Tolerance:
    """Return the tolerance against eager, or that for rows in a batch, whichever is larger."""
    own, strict = tolerance_for(config.precision, config.tolerance), rounding(config.precision, config)
    return Tolerance(max(own.relative, strict.relative), max(own.disagree, strict.disagree))
