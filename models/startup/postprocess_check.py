"""The check of the postprocess hook: it returns the declared outputs for what the eager network gives to a few rows."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np
import torch

from ..errors import ModelError
from ..runtime.postprocessed import check_outputs
from ..runtime.runner import torch_dtype
from ..signature import NUMPY, Array, Tensor
from ..sources.hooks import Hook
from ..user_code import call_at_start
from .eager_reference import Reference
from .row_checks import count_of
from .sample_inputs import SampleInputs

HOOK_ADVICE = "its arrays are read-only: copy one before you change it"


def check_postprocess(hook: Hook, reference: Reference, samples: SampleInputs, outputs: Sequence[Tensor]) -> None:
    """Run the hook on a few requests; raise ModelError if it raises or returns something else than `outputs`."""
    for rows, returned in _runs(hook, reference, samples):
        # What it returned is the user's code too.
        call_at_start("postprocess", "return a dict of arrays", check_outputs, returned, rows, outputs)


def as_arrays(outputs: Sequence[Tensor], answers: Sequence[torch.Tensor]) -> dict[str, Array]:
    """Return answers of the network as a hook gets them."""
    both = zip(outputs, answers, strict=True)
    return {tensor.name: value.to("cpu", torch_dtype(tensor.numpy)).numpy() for tensor, value in both}


def postprocess_outputs(hook: Hook, reference: Reference, samples: SampleInputs) -> tuple[Tensor, ...]:
    """Return what the hook returns for such runs, as outputs; a size that differs is an open one.

    Raises:
        ModelError: it raises, or returns no dict with a row of numbers or texts for each row.
    """
    runs = _runs(hook, reference, samples)
    found = call_at_start("postprocess", "return a dict of arrays", _outputs, runs)
    for rows, returned in runs:
        call_at_start("postprocess", "return a dict of arrays", check_outputs, returned, rows, found)
    return found


def _runs(hook: Hook, reference: Reference, samples: SampleInputs) -> list[tuple[int, Any]]:
    """Run the hook on what eager gives to one row, to a few, and to a few of other open sizes, each by itself."""
    few = count_of(reference.layout.sizes[-1])
    drawn = [(True, samples(rows, seed=11)) for rows in sorted({1, few})]
    least = tuple(samples.least.values())
    for place, dim in enumerate(samples.dims):
        for size in sorted({dim.sizes[-1], (dim.sizes[0] + 1) // 2} - {dim.sizes[0]}):
            sizes = (*least[:place], size, *least[place + 1 :])
            drawn.append((size in dim.sizes, samples.shaped((few, sizes), seed=11)))
    runs: list[tuple[int, Any]] = []
    for must, rows in drawn:
        # A network need not take a size that no batch will have.
        with nullcontext() if must else suppress(Exception):
            runs.append((len(next(iter(rows.values()))), _answered(hook, reference, reference(rows))))
    return runs


def _answered(hook: Hook, reference: Reference, given: Sequence[torch.Tensor]) -> Any:
    return call_at_start("postprocess", HOOK_ADVICE, hook, as_arrays(reference.outputs, given))


def _outputs(runs: Sequence[tuple[int, Any]]) -> tuple[Tensor, ...]:
    datatypes = {dtype: name for name, dtype in NUMPY.items()}
    _, first = runs[0]
    if not isinstance(first, Mapping) or not first:
        raise ModelError(f"postprocess returned a {type(first).__name__}\nhelp: return a dict of arrays")
    found = []
    for name in first:
        arrays = [np.asarray(returned[name]) for _, returned in runs]
        datatype = "BYTES" if arrays[0].dtype.kind in "SUO" else datatypes.get(arrays[0].dtype)
        if datatype is None or arrays[0].ndim == 0:
            came = f"{arrays[0].dtype} {list(arrays[0].shape)}"
            raise ModelError(
                f"postprocess returned {name!r} as {came}\nhelp: return an array with one row for each row"
            )
        sizes = [
            size if all(array.ndim == arrays[0].ndim and array.shape[axis] == size for array in arrays) else -1
            for axis, size in enumerate(arrays[0].shape)
        ]
        found.append(Tensor(str(name), datatype, (-1, *sizes[1:])))
    return tuple(found)
