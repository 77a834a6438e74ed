"""Compares what the postprocess hook returns with the outputs of the config, at the start and at every call. No torch
here, since an ingress replica runs without it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ModelError
from ..signature import Array, Tensor
from .returned_values import fits


def check_outputs(returned: object, rows: int, outputs: Sequence[Tensor]) -> dict[str, Array]:
    """Return the outputs in the config's order: copies, with BYTES as objects of type bytes.

    Args:
        returned: what postprocess returned for a request.
        rows: how many rows the request has.
        outputs: as declared.

    Raises:
        ModelError: it differs. The text is for the log, never for a client.
    """
    if not isinstance(returned, Mapping):
        raise _other(f"a {type(returned).__name__}", rows, outputs)
    if len(returned) != len(outputs) or any(tensor.name not in returned for tensor in outputs):
        raise _other(f"the names {list(returned)}", rows, outputs)
    return {tensor.name: _output(returned[tensor.name], tensor, rows, outputs) for tensor in outputs}


def _output(value: Any, tensor: Tensor, rows: int, outputs: Sequence[Tensor]) -> Array:
    if tensor.datatype == "BYTES":
        return _texts(value, tensor, rows, outputs)
    if not isinstance(value, np.ndarray):
        raise _other(f"a {type(value).__name__} as {tensor.name!r}", rows, outputs)
    # A copy: the hook may write into the same array at its next call, while this answer is not written yet.
    own: Array = np.array(value)
    if own.dtype != tensor.numpy or not fits(own.shape, rows, tensor.shape, least=0):
        raise _other(f"{tensor.name!r} as {own.dtype} {list(own.shape)}", rows, outputs)
    return own


def _texts(value: Any, tensor: Tensor, rows: int, outputs: Sequence[Tensor]) -> Array:
    """Return an array of objects, or of numpy's texts, or a list with an entry a row as objects of type bytes."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OSU":
        raise _other(f"{tensor.name!r} as {value.dtype} {list(value.shape)}", rows, outputs)
    if not isinstance(value, np.ndarray | list | tuple):
        raise _other(f"a {type(value).__name__} as {tensor.name!r}", rows, outputs)
    try:
        array: Array = np.array(value, object)
    except ValueError:  # Lists of unlike lengths, at some depths.
        raise _other(f"lists of unlike lengths as {tensor.name!r}", rows, outputs) from None
    if not fits(array.shape, rows, tensor.shape, least=0):
        raise _other(f"{tensor.name!r} with the sizes {list(array.shape)}", rows, outputs)
    flat = array.reshape(-1)
    for index, element in enumerate(flat):
        if isinstance(element, str):
            flat[index] = str.encode(element)  # Not that of a subclass.
        elif not isinstance(element, bytes):
            raise _other(f"a {type(element).__name__} in {tensor.name!r}", rows, outputs)
    return array


def _other(came: str, rows: int, outputs: Sequence[Tensor]) -> ModelError:
    wanted = ", ".join(f"{each.name!r} as {_kind(each)} {[rows, *each.shape[1:]]}" for each in outputs)
    return ModelError(
        f"postprocess returned {came} for {rows} rows; expected a dict with {wanted}\n"
        "help: return every output that the config declares, with one row for each row of the request"
    )


def _kind(tensor: Tensor) -> str:
    return "bytes or str" if tensor.datatype == "BYTES" else str(tensor.numpy)
