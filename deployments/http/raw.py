"""A raw body, which Inference-Header-Content-Length 0 announces: one row of the model's only input, and no JSON."""

import math

import numpy as np

from models.signature import Array, Signature, Tensor

from ..errors import BadRequest
from ..inference import Asked, InferRequest, check
from ..protocol.encoding import from_binary

Body = bytes | memoryview


def parse_raw(body: Body, signature: Signature) -> InferRequest:
    """Read the whole body as one row; every output is then answered in binary."""
    if len(signature.inputs) != 1:
        raise BadRequest(
            f"a raw body, with Inference-Header-Content-Length 0, is for models of one input; this one takes"
            f" {len(signature.inputs)}: send a JSON header"
        )
    tensor = signature.inputs[0]
    array = _string(tensor, body) if tensor.datatype == "BYTES" else _numeric(tensor, body)
    inputs = {tensor.name: array}
    asked = tuple(Asked(output.name, True, 0) for output in signature.outputs)
    return InferRequest(inputs, check(signature, inputs), None, asked)


def _string(tensor: Tensor, body: Body) -> Array:
    if any(size not in (-1, 1) for size in tensor.shape):
        raise BadRequest(f"a raw body is one BYTES element; input {tensor.name!r} takes {list(tensor.shape)}")
    array = np.empty([1] * len(tensor.shape), object)
    array.reshape(-1)[0] = bytes(body)
    return array


def _numeric(tensor: Tensor, body: Body) -> Array:
    sizes = tensor.shape[1:]
    if sizes.count(-1) > 1:
        raise BadRequest(
            f"a raw body leaves one size to be found from its length; input {tensor.name!r} takes"
            f" {list(tensor.shape)}: send a JSON header"
        )
    unit = tensor.numpy.itemsize * math.prod(size for size in sizes if size > 0)
    count, rest = divmod(len(body), unit)
    if rest or count < 1 or (count > 1 and -1 not in sizes):
        several = "a multiple of " if -1 in sizes else ""
        raise BadRequest(
            f"a raw body for one row of input {tensor.name!r}, {tensor.datatype} {list(tensor.shape)}, takes"
            f" {several}{unit} bytes; got {len(body)}"
        )
    return from_binary(tensor, [1, *(count if size == -1 else size for size in sizes)], body)
