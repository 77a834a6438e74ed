"""The body of an inference request and of its answer, as the Open Inference Protocol defines them over HTTP.

A JSON object, optionally followed by the tensors' bytes, end to end; or no JSON, with a header length of 0, and one row
of the only input. Counts are compared before anything is allocated; each error has its own message.
"""

import math
from typing import Any

import orjson

from models.signature import Array, Signature, Tensor

from ..core.errors import BadRequest, show
from ..core.request import InferRequest, InferResult, RequestedOutput
from ..protocol.classification import as_requested
from ..protocol.encoding import from_binary, from_json, one_element, to_binary, to_json
from ..protocol.json_text import BOM, InvalidJson, load
from ..protocol.parameters import flag, in_message, object_of, reserved, scheduling, seed
from ..protocol.requested_outputs import check, declared, requested_outputs

Body = bytes | memoryview
_ELSEWHERE = "files, texts and instances go to /predict"


def parse(body: Body, header_length: int | None, signature: Signature) -> InferRequest:
    """Read an inference request.

    Args:
        body: the whole body, uncompressed.
        header_length: how many bytes of it are JSON; None if all are, 0 if it is one raw tensor.
        signature: what the model takes and gives.

    Raises:
        BadRequest: for whatever is wrong with it.
    """
    if header_length == 0:
        inputs = _raw(body, signature)
        outputs = tuple(RequestedOutput(output.name, True, 0) for output in signature.outputs)
        return InferRequest(inputs, check(signature, inputs), None, outputs)
    message, tail = _split(body, header_length)
    parameters = object_of(message, "the request")
    reserved(parameters)
    inputs = _inputs(signature, message.get("inputs"), tail, message.get("instances"))
    rows = check(signature, inputs)
    outputs = requested_outputs(
        signature, message.get("outputs"), flag(parameters, "binary_data_output", "the request")
    )
    timeout_s, priority = scheduling(parameters)
    identity = _identity(message.get("id"))
    drawn = seed(parameters)
    return InferRequest(inputs, rows, identity, outputs, timeout_s, priority, seed=drawn, parameters=parameters)


def render(name: str, request: InferRequest, result: InferResult) -> tuple[bytes, int | None]:
    """Write an answer; the second value is the length of its JSON if tensors' bytes follow, else None."""
    head: dict[str, Any] = {"model_name": name, "model_version": result.version}
    if request.id is not None:
        head["id"] = request.id
    blobs: list[bytes] = []
    head["outputs"] = [_output(wanted, result.outputs[wanted.name], blobs) for wanted in request.outputs]
    packed = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((packed, *blobs)), len(packed)) if blobs else (packed, None)


def _split(body: Body, header_length: int | None) -> tuple[dict[str, Any], memoryview]:
    """Return the JSON, and the bytes that follow it."""
    view = memoryview(body)
    if header_length is None:
        return _load(body, None), view[len(view) :]
    if header_length > len(view):
        raise BadRequest(
            f"Inference-Header-Content-Length is {header_length}, beyond the {len(view)} bytes of the body"
        )
    return _load(view[:header_length], header_length), view[header_length:]


def _load(text: Body, header_length: int | None) -> dict[str, Any]:
    if not text:
        raise BadRequest("the body is empty: send a JSON object with inputs")
    announced = f"the request's JSON, by Inference-Header-Content-Length its first {header_length} bytes,"
    try:
        message = load(text, announced if header_length else "the request", binary_may_follow=not header_length)
    except InvalidJson as error:
        # A picture, a form or a text; JSON that is broken begins as JSON does.
        begins_as_json = bytes(text[:64]).removeprefix(BOM).lstrip()[:1] in (b"{", b"[")
        if header_length is None and not begins_as_json and error.reason != "other_characters":
            raise BadRequest(f"{error.message}; {_ELSEWHERE}") from error
        raise
    if type(message) is not dict:
        raise BadRequest(f"the request must be a JSON object with inputs; got {show(message)}")
    return message


def _identity(given: Any) -> str | None:
    if given is None or type(given) is str:
        return given
    raise BadRequest(f"id must be a string; got {show(given)}")


def _inputs(signature: Signature, given: Any, tail: memoryview, elsewhere: Any) -> dict[str, Array]:
    if type(given) is not list or not given:
        hint = "" if elsewhere is None else f"; {_ELSEWHERE}"
        raise BadRequest(f"inputs must be a list of tensors; got {'none' if given is None else show(given)}{hint}")
    inputs: dict[str, Array] = {}
    start = 0
    for each in given:
        if type(each) is not dict:
            raise BadRequest(f"inputs must hold objects with name, shape and datatype; got {show(each)}")
        tensor = declared(signature, each.get("name"), each.get("datatype"), inputs)
        where = f"input {tensor.name!r}"
        parameters = object_of(each, where)
        in_message(parameters, where)
        size = parameters.get("binary_data_size")
        data = each.get("data")
        if (data is None) == (size is None):
            has = "neither" if data is None else "both"
            raise BadRequest(f"{where} must have either data or the parameter binary_data_size; it has {has}")
        if size is None:
            inputs[tensor.name] = from_json(tensor, each.get("shape"), data)
            continue
        raw = _cut(tail, start, size, where)
        inputs[tensor.name] = from_binary(tensor, each.get("shape"), raw)
        start += size
    if start < len(tail):
        raise BadRequest(f"{len(tail) - start} bytes are left over after the last binary tensor")
    return inputs


def _cut(tail: memoryview, start: int, size: Any, where: str) -> memoryview:
    if type(size) is not int or size < 0:
        raise BadRequest(f"{where}: binary_data_size must be a number of bytes; got {show(size)}")
    if start + size > len(tail):
        raise BadRequest(f"{where}: binary_data_size is {size}, but after the JSON {len(tail) - start} bytes are left")
    return tail[start : start + size]


def _raw(body: Body, signature: Signature) -> dict[str, Array]:
    """Read a body without JSON: one row of the only input."""
    if len(signature.inputs) != 1:
        raise BadRequest(
            f"a raw body, with Inference-Header-Content-Length 0, is for models of one input; this one takes"
            f" {len(signature.inputs)}: send a JSON header"
        )
    tensor = signature.inputs[0]
    return {tensor.name: _raw_string(tensor, body) if tensor.datatype == "BYTES" else _raw_numbers(tensor, body)}


def _raw_string(tensor: Tensor, body: Body) -> Array:
    if any(size not in (-1, 1) for size in tensor.shape):
        raise BadRequest(f"a raw body is one BYTES element; input {tensor.name!r} takes {list(tensor.shape)}")
    return one_element(tensor, bytes(body))


def _raw_numbers(tensor: Tensor, body: Body) -> Array:
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


def _output(wanted: RequestedOutput, array: Array, blobs: list[bytes]) -> dict[str, Any]:
    datatype, array = as_requested(array, wanted.classification)
    described: dict[str, Any] = {"name": wanted.name, "datatype": datatype, "shape": array.shape}
    if wanted.binary:
        blob = to_binary(datatype, array)
        blobs.append(blob)
        described["parameters"] = {"binary_data_size": len(blob)}
    else:
        described["data"] = to_json(datatype, array, wanted.name)
    return described
