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


def check_returned(
    values: Sequence[Any], rows: int, outputs: Sequence[Tensor], seen: Sequence[Any], sizes: Mapping[str, int]
) -> None:
    """Compare the tensors that forward returned for a batch with the config.

    Args:
        values: a tensor per output.
        rows: how many rows forward was given, padding included.
        outputs: as declared.
        seen: the torch dtype of each at the start; only its class (float, integer, bool) must stay.
        sizes: of the open dimensions in this batch, by name.

    Raises:
        ModelError: another number of rows, another shape, or another class of dtype.
    """
    for value, tensor, dtype in zip(values, outputs, seen, strict=True):
        shape = value.shape
        if len(shape) == 0 or shape[0] != rows or (shape[1:] != tensor.shape[1:] and not _open(tensor, shape, sizes)):
            raise _misshapen(tensor, list(shape), rows, sizes)
        if value.dtype is not dtype and dtype_class(value.dtype) != dtype_class(dtype):
            raise ModelError(
                f"output {tensor.name!r} is {value.dtype}, at the start it was {dtype}\n"
                "help: forward must return the same class of dtype for every input"
            )


def _open(tensor: Tensor, shape: Sequence[int], sizes: Mapping[str, int]) -> bool:
    """Whether an output with open sizes has those of its batch; a count may be any."""
    wanted = tensor.sized(sizes)
    return len(wanted) == len(shape) - 1 and all(
        want in (-1, size) for want, size in zip(wanted, shape[1:], strict=True)
    )


def _misshapen(tensor: Tensor, shape: list[int], rows: int, sizes: Mapping[str, int]) -> ModelError:
    wanted = f"{list(tensor.shape)}"
    if tensor.named:
        given = ", ".join(f"{name} {size}" for name, size in sizes.items())
        wanted = f"{[-1, *tensor.sized(sizes)]} where {given or 'no size is open'}"
    advice = "forward must return one row for each that it gets, in their order"
    if shape[:1] == [rows]:
        others = list(zip(tensor.sized(sizes), shape[1:], strict=False))
        off = {axis for axis, (want, size) in enumerate(others, start=1) if want not in (-1, size)}
        advice = "or let forward return what it says"
        if off & {each.axis for each in tensor.named}:
            advice = "forward must return sizes that follow those of its padded input: total_length=x.shape[1] where "
            advice += "it unpacks"
    return ModelError(
        f"output {tensor.name!r} has shape {shape} for {rows} rows, the config says {wanted}\n"
        f"help: correct outputs in the config; {advice}"
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
