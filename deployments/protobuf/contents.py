"""Typed contents of a gRPC tensor: one repeated field of numbers, flat and row-major, into an array.

INT8 to INT32 share one field of 32 bits, as do UINT8 to UINT32, so the range is checked here. FP16 has no field.
"""

from typing import Any

import numpy as np

from models.signature import NUMPY, Array, Tensor

from ..core.errors import BadRequest, show
from ..protocol.encoding import objects
from ..protocol.shapes import check_shape
from ..stubs.open_inference_pb2 import InferTensorContents

# By datatype: the field, and the type of its numbers.
_FIELDS: dict[str, tuple[str, str]] = {
    "BOOL": ("bool_contents", "BOOL"),
    "INT8": ("int_contents", "INT32"),
    "INT16": ("int_contents", "INT32"),
    "INT32": ("int_contents", "INT32"),
    "INT64": ("int64_contents", "INT64"),
    "UINT8": ("uint_contents", "UINT32"),
    "UINT16": ("uint_contents", "UINT32"),
    "UINT32": ("uint_contents", "UINT32"),
    "UINT64": ("uint64_contents", "UINT64"),
    "FP32": ("fp32_contents", "FP32"),
    "FP64": ("fp64_contents", "FP64"),
    "BYTES": ("bytes_contents", "BYTES"),
}


def from_contents(tensor: Tensor, shape: list[int], contents: InferTensorContents) -> Array:
    """Read typed contents into an array of `shape`.

    Raises:
        BadRequest: they are in another field, too few or too many, or beyond the datatype's range.
    """
    elements = check_shape(tensor, shape)
    where = f"input {tensor.name!r}"
    if tensor.datatype not in _FIELDS:
        raise BadRequest(f"{where}: {tensor.datatype} has no typed contents; send it in raw_input_contents")
    name, carried = _FIELDS[tensor.datatype]
    wrong = [field.name for field, _ in contents.ListFields() if field.name != name]
    if wrong:
        raise BadRequest(f"{where} is {tensor.datatype} and its values belong in {name}; got {', '.join(wrong)}")
    values = getattr(contents, name)
    if len(values) != elements:
        raise BadRequest(f"{where}: shape {show(shape)} has {elements} elements, {name} has {len(values)}")
    flat = objects(values) if tensor.datatype == "BYTES" else _numbers(tensor, np.array(values, NUMPY[carried]))
    return flat.reshape(shape)


def _numbers(tensor: Tensor, carried: Array) -> Array:
    if carried.dtype == tensor.numpy:
        return carried
    limits: Any = np.iinfo(tensor.numpy)
    beyond = (carried < limits.min) | (carried > limits.max)
    if beyond.any():
        value = carried[beyond][0]
        raise BadRequest(
            f"input {tensor.name!r} is {tensor.datatype} and takes {limits.min} to {limits.max}; got {value}"
        )
    return carried.astype(tensor.numpy)
