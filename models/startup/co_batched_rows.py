"""Whether a row's answer depends on the rows that share its batch.

Rows are run alone, then together with others of the largest sizes: first with one, then with a whole batch of large
numbers, in inputs without a range, and, if the rows are examples, with a batch of zeros. A config with batch_tolerance
skips both: the influence of the batch grows with large numbers.
"""

import logging
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import torch

from configs.precisions import FP32
from configs.schema import ModelConfig

from ..errors import ModelError
from ..parity import DeviationError, compare
from ..runtime.runner import Runner
from ..signature import Array, Rows
from ..user_code import described
from .advice import rounds
from .check_results import CoBatchedRows
from .row_checks import as_tensors, own_part, prepared, probe_rows, rounding
from .sample_inputs import SampleInputs

# The other rows' numbers are multiplied by this: no row's answer may depend on how large they are.
_LARGE = 1000
# A smaller deviation may be intended, as with int8 activations that are scaled by the batch.
_MAY_BE_MEANT = 0.1
_MEANT = "or allow it where it is meant, as with int8 activations, whose scale is the batch's"
ADVICE = (
    "rows influence each other: batch statistics, a decision over the whole batch, attention over it, or padding to "
    "the longest row that no mask hides; fix the model, or use max_batch_size: 1, or write batch: whole if the rows of "
    "one request belong together"
)
_WHOLE = "not compared: the rows of a request belong together, and share no forward with others; waived by batch"
_DRAWS = "not compared: what a row draws depends on its place in the batch; waived by random"
_log = logging.getLogger("pitstop")


def co_batched_rows(runner: Runner, samples: SampleInputs, config: ModelConfig) -> CoBatchedRows:
    """Return how far a row's answer depends on the others of its batch; raise ModelError if too far."""
    if runner.layout.sizes[-1] == 1:
        return CoBatchedRows("not_applicable", reason="a forward takes one row")
    if config.whole:
        return CoBatchedRows("waived", reason=_WHOLE, waived_by="batch")
    if config.random:
        return CoBatchedRows("waived", reason=_DRAWS, waived_by="random")
    worst = _worst(runner, samples, config)
    if config.batch_tolerance is not None:
        return CoBatchedRows("waived", worst, waived_by="batch_tolerance", allowed=config.batch_tolerance)
    return CoBatchedRows("passed", worst)


def refuse(error: DeviationError) -> NoReturn:
    """Raise the error for rows that influence each other; it names the key that allows it, if it may be intended."""
    if error.deviation >= _MAY_BE_MEANT:
        raise error
    raise ModelError(f"{error}; {_MEANT}: batch_tolerance: {2 * error.deviation:.1g}") from error


def _worst(runner: Runner, samples: SampleInputs, config: ModelConfig) -> float:
    layout = runner.layout
    rows, _ = probe_rows(samples, layout.sizes[-1])
    count, answer = rows[runner.model_inputs[0].name].shape[0], prepared(runner, None)
    alone = [answer({name: array[row : row + 1] for name, array in rows.items()}) for row in range(count)]
    room = layout.sizes[-1] - count
    own = runner.open_sizes.own(rows)
    # Only rows of the same size share a forward where a dimension is not padded.
    largest = tuple(dim.sizes[-1] if dim.padded else size for dim, size in zip(layout.dims, own, strict=True))
    if not room:
        return _together(runner, rows, alone, [], config)
    worst = _together(runner, rows, alone, [samples.shaped((1, largest), seed=12)], config)
    if config.batch_tolerance is not None:
        return worst
    others = samples.shaped((room, largest), seed=14)
    unusual = {"large numbers": _enlarged(samples, others)}
    if samples.examples is not None:
        # Of a single example the others may be copies, which influence it as it influences itself.
        unusual["zeros"] = _emptied(samples, others, on_gpu=layout.device.type == "cuda")
    for what, company in unusual.items():
        try:
            worst = max(worst, _together(runner, rows, alone, [company], config))
        except ModelError:
            raise
        except Exception as error:  # The user's own code may refuse such numbers.
            _log.info("%s beside a row are not checked: on them the network raises %s", what, described(error))
    return worst


def _emptied(samples: SampleInputs, rows: dict[str, Array], on_gpu: bool) -> dict[str, Array]:
    """Return rows of zeros, or of the lowest values in the config.

    On a GPU, where an index out of range ends the process, whole numbers stay; so do those that may be a row's length.
    """
    lows = {} if samples.preprocess else {each.name: each.low for each in samples.model_inputs}
    return {
        name: array
        if array.dtype.kind in "iu" and (on_gpu or array.ndim == 1)
        else np.full_like(array, lows.get(name) or 0)
        for name, array in rows.items()
    }


def _enlarged(samples: SampleInputs, rows: dict[str, Array]) -> dict[str, Array]:
    """Return rows with large numbers in the float inputs without a range in the config."""
    free: set[str] = (
        set()
        if samples.preprocess
        else {each.name for each in samples.model_inputs if each.low is None and each.high is None}
    )
    return {
        name: (array * _LARGE).astype(array.dtype) if array.dtype.kind == "f" and name in free else array
        for name, array in rows.items()
    }


def _together(
    runner: Runner, rows: Rows, alone: Sequence[Sequence[torch.Tensor]], others: Sequence[Rows], config: ModelConfig
) -> float:
    """Compare the answers of rows, each `alone`, with those that they get beside others; return the deviation."""
    outputs = runner.run([rows, *others])
    allowed, worst = rounding(config.precision, config), 0.0
    precision = f"; or use precision: {FP32}, if {config.precision} is the cause" if rounds(config.precision) else ""
    what = "a row alone and in a batch"
    for row, answered in enumerate(alone):
        asked, answers = ({name: array[row : row + 1] for name, array in each.items()} for each in (rows, outputs))
        expected = as_tensors(runner, own_part(runner, asked, answers))
        try:
            compared = compare(answered, expected, runner.outputs, allowed, what, ADVICE + precision)
        except DeviationError as error:
            refuse(error)
        worst = max(worst, *compared.values(), 0.0)
    return worst
