"""The check of the postprocess hook: it returns the declared outputs for what the eager network gives to a few rows."""

from collections.abc import Sequence

from ..runtime.postprocessed import check_outputs
from ..runtime.runner import torch_dtype
from ..signature import Tensor
from ..sources.hooks import Hook
from ..user_code import call_at_start
from .eager_reference import Reference
from .row_checks import count_of
from .sample_inputs import SampleInputs

_ADVICE = "its arrays are read-only: copy one before you change it"


def check_postprocess(hook: Hook, reference: Reference, samples: SampleInputs, outputs: Sequence[Tensor]) -> None:
    """Run the hook on one row and on a few; raise ModelError if it raises or returns something else than `outputs`."""
    for rows in sorted({1, count_of(reference.layout.sizes[-1])}):
        given = reference(samples(rows, seed=11))
        arrays = {
            tensor.name: value.to("cpu", torch_dtype(tensor.numpy)).numpy()
            for tensor, value in zip(reference.outputs, given, strict=True)
        }
        returned = call_at_start("postprocess", _ADVICE, hook, arrays)
        # What it returned is the user's code too.
        call_at_start("postprocess", "return a dict of arrays", check_outputs, returned, rows, outputs)
