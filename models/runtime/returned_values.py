"""Compares what user code returns with what it returned at the start, at every call: with a wrong number of rows, later
requests would get their neighbours' answers. No torch here, since an ingress replica runs without it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ModelError
from ..signature import Array, Tensor


def check_model_inputs(
    returned: object, rows: int, model_inputs: Sequence[Tensor], what: str = "preprocess"
) -> dict[str, Array]:
    """Return the arrays that the model takes, in its order.

    Args:
        returned: what preprocess returned for a request.
        rows: how many rows the request has.
        model_inputs: what preprocess returned at the start.
        what: the function's name in an error.

    Raises:
        ModelError: it differs. The text is for the log, never for a client.
    """
    if not isinstance(returned, Mapping):
        raise _other(what, f"a {type(returned).__name__}", rows, model_inputs)
    if len(returned) != len(model_inputs) or any(tensor.name not in returned for tensor in model_inputs):
        raise _other(what, f"the names {list(returned)}", rows, model_inputs)
    arrays = {tensor.name: returned[tensor.name] for tensor in model_inputs}
    for tensor in model_inputs:
        array = arrays[tensor.name]
        if not isinstance(array, np.ndarray):
            raise _other(what, f"a {type(array).__name__} as {tensor.name!r}", rows, model_inputs)
        if array.dtype != tensor.numpy or not fits(array.shape, rows, tensor.shape):
            raise _other(what, f"{tensor.name!r} as {array.dtype} {list(array.shape)}", rows, model_inputs)
    return arrays


def too_long(arrays: Mapping[str, Array], open_inputs: Sequence[str], longest: int) -> str | None:
    """Return the error text for the first input that is longer than the longest warmed length, or None."""
    for name in open_inputs:
        if (given := arrays[name].shape[1]) > longest:
            return f"{name!r} has {given} along its open size, this model takes at most {longest}: shorten it"
    return None


def uneven(arrays: Mapping[str, Array], open_inputs: Sequence[str]) -> str | None:
    """Return the error text for inputs that differ in the open size that they share, or None."""
    given = {name: arrays[name].shape[1] for name in open_inputs}
    if len(set(given.values())) < 2:
        return None
    return f"the open size must be the same in every input; got {given}: pad the shorter ones, a mask with 0"


def check_returned(values: Sequence[Any], rows: int, outputs: Sequence[Tensor], seen: Sequence[Any]) -> None:
    """Compare the tensors that forward returned for a batch with the config.

    Args:
        values: a tensor per output.
        rows: how many rows forward was given, padding included.
        outputs: as declared.
        seen: the torch dtype of each at the start; only its class (float, integer, bool) must stay.

    Raises:
        ModelError: another number of rows, another shape, or another class of dtype.
    """
    for value, tensor, dtype in zip(values, outputs, seen, strict=True):
        shape = value.shape
        if len(shape) == 0 or shape[0] != rows or shape[1:] != tensor.shape[1:]:
            raise ModelError(
                f"output {tensor.name!r} has shape {list(shape)} for {rows} rows, the config says "
                f"{list(tensor.shape)}\nhelp: correct outputs in the config; forward must return one row for each "
                "that it gets, in their order"
            )
        if value.dtype is not dtype and dtype_class(value.dtype) != dtype_class(dtype):
            raise ModelError(
                f"output {tensor.name!r} is {value.dtype}, at the start it was {dtype}\n"
                "help: forward must return the same class of dtype for every input"
            )


def dtype_class(dtype: Any) -> str:
    """Return the class within which a cast of a torch dtype keeps the meaning: float, integer, bool or complex."""
    if dtype.is_complex:
        return "complex"
    if dtype.is_floating_point:
        return "float"
    return "bool" if str(dtype) == "torch.bool" else "integer"


def fits(shape: tuple[int, ...], rows: int, declared: tuple[int, ...], least: int = 1) -> bool:
    """Whether an array has so many rows and the declared sizes; an open one may be `least` or more."""
    return (
        len(shape) == len(declared)
        and shape[0] == rows
        and all(given >= least and size in (-1, given) for given, size in zip(shape[1:], declared[1:], strict=True))
    )


def _other(what: str, came: str, rows: int, model_inputs: Sequence[Tensor]) -> ModelError:
    wanted = ", ".join(f"{each.name!r} as {each.numpy} {[rows, *each.shape[1:]]}" for each in model_inputs)
    return ModelError(
        f"{what} returned {came} for {rows} rows; expected a dict with {wanted}\n"
        "help: return one row for each input row, with the dtypes and sizes that the start saw"
    )
