"""Writes the Open Inference Protocol's ModelInferRequest by hand: it is tiny, and spares the client generated code.

Tensors go as raw_input_contents, which every server of the protocol reads, in the order of the inputs.
"""

from collections.abc import Iterable, Sequence

from .tensor import Tensor

_BYTES = 2
# Field numbers of ModelInferRequest and of its InferInputTensor.
_MODEL_NAME, _MODEL_VERSION, _INPUTS, _RAW = 1, 2, 5, 7
_NAME, _DATATYPE, _SHAPE = 1, 2, 3


def infer_request(model: str, version: str, tensors: Sequence[Tensor]) -> bytes:
    """Return the request as it goes over the wire; an empty version means whichever the server has."""
    parts = [_text(_MODEL_NAME, model)]
    if version:
        parts.append(_text(_MODEL_VERSION, version))
    parts += [_field(_INPUTS, _input(tensor)) for tensor in tensors]
    parts += [_field(_RAW, tensor.raw()) for tensor in tensors]
    return b"".join(parts)


def _input(tensor: Tensor) -> bytes:
    shape = b"".join(_varint(size) for size in tensor.shape)
    return _text(_NAME, tensor.name) + _text(_DATATYPE, tensor.datatype) + _field(_SHAPE, shape)


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode())


def _field(number: int, value: bytes) -> bytes:
    return b"".join((_varint(number << 3 | _BYTES), _varint(len(value)), value))


def _varint(value: int) -> bytes:
    return bytes(_groups(value))


def _groups(value: int) -> Iterable[int]:
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
