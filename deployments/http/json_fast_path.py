"""Reads only the usual request body: one JSON tensor of numbers, all outputs as JSON.

msgspec checks types while it parses, struct checks ranges while it packs; neither needs a loop in Python. infer_json.py
reads every other body, and says what is wrong with a bad one. A test holds that both read the usual body alike.
"""

import math
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec
import numpy as np

from models.signature import Signature, Tensor

from ..core.request import InferRequest, RequestedOutput

Reader = Callable[[bytes], InferRequest | None]
Number = TypeVar("Number", float, int)

_CODES = {
    "FP32": "f",
    "FP64": "d",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
}


class _Tensor(msgspec.Struct, Generic[Number], forbid_unknown_fields=True, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: list[Number]


class _Body(msgspec.Struct, Generic[Number], forbid_unknown_fields=True, gc=False):
    inputs: list[_Tensor[Number]]
    id: str | None = None


def reader(signature: Signature) -> Reader:
    """Return a reader for this model; it returns None for every body that it leaves to infer_json.parse."""
    tensor = signature.inputs[0]
    plain = len(signature.inputs) == 1 and tensor.fixed and tensor.datatype in _CODES
    return _reader(tensor, signature) if plain and all(each.datatype != "FP16" for each in signature.outputs) else _none


def _none(_body: bytes) -> None:
    return None


def _reader(tensor: Tensor, signature: Signature) -> Reader:
    code = _CODES[tensor.datatype]
    kind: type[_Body[float] | _Body[int]] = _Body[float] if code in "fd" else _Body[int]
    decoder = msgspec.json.Decoder(kind)
    outputs = tuple(RequestedOutput(each.name, False, 0) for each in signature.outputs)
    name, datatype, tail = tensor.name, tensor.datatype, list(tensor.shape[1:])
    width, dtype = math.prod(tail), tensor.numpy

    def read(body: bytes) -> InferRequest | None:
        try:
            message = decoder.decode(body)
            [given] = message.inputs
            rows = given.shape[0]
            if given.name != name or given.datatype != datatype or given.shape[1:] != tail:
                return None
            data = given.data
            if rows < 1 or len(data) != rows * width:
                return None
            # struct refuses what the type cannot hold, also a float beyond FP32.
            packed = _packer(len(data), code)(*data)
        except (msgspec.MsgspecError, ValueError, IndexError, struct.error, OverflowError, RecursionError):
            return None
        array = np.frombuffer(packed, dtype).reshape(given.shape)
        return InferRequest({name: array}, rows, message.id, outputs)

    return read


@lru_cache(64)
def _packer(count: int, code: str) -> Callable[..., bytes]:
    return struct.Struct(f"={count}{code}").pack
