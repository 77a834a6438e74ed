"""Compares what forward takes and returns with the config; an error names both."""

import re
from collections.abc import Sequence

import torch

from configs.precisions import FP32, quantizes

from ..errors import ModelError
from ..runtime.layout import Layout
from ..runtime.returned_values import dtype_class
from ..runtime.runner import torch_dtype
from ..signature import NUMPY, Rows, Tensor
from ..user_code import described, text_of
from .advice import rounds

_DTYPE = {name: torch_dtype(dtype) for name, dtype in NUMPY.items() if name != "BYTES"}
DATATYPES = {dtype: name for name, dtype in _DTYPE.items()}
# What torch and torchao say of a dtype that meets another, or that an operation lacks.
_OF_A_DTYPE = re.compile("dtype|scalar ?type|float16|half|int8|quanti", re.IGNORECASE)
_TO_WEIGHTS = "where forward casts, as x.float() does, cast to the weights' dtype: x.to(self.weight.dtype)"


def check_returned(values: Sequence[torch.Tensor], outputs: Sequence[Tensor]) -> None:
    """Raise ModelError if an output has no rows, or a dtype of another class, or an integer type too large.

    A float may be narrowed, or widened except to FP64: the comparison with eager shows the deviation.
    """
    for value, tensor in zip(values, outputs, strict=True):
        if value.dim() == 0:
            raise ModelError(
                f"output {tensor.name!r}: forward returns a single number, the config says {list(tensor.shape)}\n"
                "help: return one value a row: the first dimension must count rows"
            )
        declared = _DTYPE[tensor.datatype]
        alike = dtype_class(value.dtype) == dtype_class(declared)
        if alike and _fits(value.dtype, declared):
            continue
        name = str(value.dtype).removeprefix("torch.")
        if value.dtype.is_complex:
            raise ModelError(
                f"output {tensor.name!r}: forward returns {name}, which the protocol cannot carry\n"
                "help: let forward return torch.view_as_real(y), or y.abs()"
            )
        narrow = ", which cannot hold it" if alike and dtype_class(declared) == "integer" else ""
        raise ModelError(
            f"output {tensor.name!r}: forward returns {name}, the config says {tensor.datatype}{narrow}\n"
            f"help: write datatype: {datatype_of(value.dtype)}, or let forward convert it"
        )


def datatype_of(dtype: torch.dtype) -> str:
    """Return the datatype that carries a dtype; bfloat16 has none of its own."""
    return DATATYPES.get(dtype, "FP32")


def fails(error: Exception, arrays: Rows, model_inputs: Sequence[Tensor], layout: Layout) -> ModelError:
    """Return the error for a forward of these arrays that raises in a start, in full, since the operator reads it."""
    given = ", ".join(
        f"{tensor.name} {_passed(tensor, layout)} (declared {tensor.datatype}) of {list(arrays[tensor.name].shape)}"
        for tensor in model_inputs
    )
    rows = len(arrays[model_inputs[0].name])
    advice = f"compare inputs in the config with what forward expects (dtype, shape, order); it gets {given}"
    said, where = text_of(error), "" if layout.precision == FP32 else f" in {layout.precision}"
    cure = _known_cure(said) or _cure_of(layout.precision, said, advice)
    return ModelError(f"the model fails{where} on a batch of {rows} rows: {described(error)}\nhelp: {cure}")


def _cure_of(precision: str, said: str, advice: str) -> str:
    """Return the help for a forward in a precision; in a coarser one than fp32 it has run eagerly in that before."""
    if precision == "fp64":
        return f"{advice}; {_TO_WEIGHTS}"
    if not rounds(precision):
        return advice
    if not _OF_A_DTYPE.search(said):
        return f"{advice}; or use precision: {FP32}, if {precision} is the cause"
    cast = "" if quantizes(precision) else f"; or, {_TO_WEIGHTS}"
    return f"the network does not run in {precision} as it is written: use precision: {FP32}{cast}"


def _known_cure(text: str) -> str | None:
    """Return the help for a forward that failed, if torch's error is unambiguous."""
    if "No working C++ compiler" in text or "InvalidCxxCompiler" in text:
        return "backend: compile needs a C++ compiler here: install g++, or use backend: torchscript or eager"
    if "Guard failed" in text and ".size()[0]" in text:
        return (
            "the .pt2 was exported for one number of rows: export it with dynamic_shapes that leave the first "
            "dimension open, or use max_batch_size: 1 where it was exported for one row"
        )
    return None


def _passed(tensor: Tensor, layout: Layout) -> str:
    dtype = _DTYPE[tensor.datatype]
    if dtype.is_floating_point and not layout.as_declared:
        dtype = layout.dtype
    return str(dtype).removeprefix("torch.")


def _fits(returned: torch.dtype, declared: torch.dtype) -> bool:
    """Whether a dtype of the same class may be served as the declared one."""
    if returned == torch.bool:
        return True
    if returned.is_floating_point:
        return declared != torch.float64 or returned == torch.float64
    one, other = torch.iinfo(declared), torch.iinfo(returned)
    return one.min <= other.min and other.max <= one.max
