"""Requests as they go over the wire: written once, before the clock starts, and sent round and round."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from deployments.http_client.request import post

from . import drawn, input_file
from .grpc_message import infer_request
from .target import Target
from .tensor import Tensor
from .token import token_header

Format = Literal["json", "binary", "grpc"]
Request = Sequence[Tensor]
# Of a request, by name.
Parameters = Mapping[str, bool | int | float | str]
# Enough that a cache keyed by content would show, small enough to stay in memory at an image's size.
_DRAWN = 16
_MOST_BYTES = 64 << 20


def requests(target: Target, path: Path | None, rows: int, length: int) -> list[Request]:
    """Return the inputs to send: from a file, the example in the model's metadata, or drawn to fit that."""
    if path is not None:
        return list(input_file.read(path, target.inputs, rows))
    if (example := target.properties.get("example")) is not None:
        return [input_file.repeated(example, rows)]
    found: list[Request] = []
    size = 0
    while len(found) < _DRAWN and size < _MOST_BYTES:
        first = len(found) * len(target.inputs)
        inputs = (_sized(each, target.properties) for each in target.inputs)
        request = [drawn.draw(each, rows, length, first + place) for place, each in enumerate(inputs)]
        found.append(request)
        size += sum(tensor.values.nbytes for tensor in request)
    return found


def _sized(declared: dict[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return an input with the middle size of each dimension that has a name, as the metadata lists them."""
    dims, named = properties.get("dims"), properties.get("shapes")
    shape = named.get(declared["name"]) if isinstance(named, Mapping) else None
    if not isinstance(dims, Mapping) or not isinstance(shape, list) or len(shape) != len(declared["shape"]):
        return declared
    sizes = {name: each["sizes"][len(each["sizes"]) // 2] for name, each in dims.items()}
    return {**declared, "shape": [sizes.get(name, size) for name, size in zip(shape, declared["shape"], strict=True)]}


def source(target: Target) -> str:
    """Say where requests come from for which the user names no file."""
    return "drawn from the metadata" if target.properties.get("example") is None else "the metadata's example"


def wire(target: Target, request: Request, kind: Format, parameters: Parameters | None = None) -> bytes:
    """Write a request: a whole HTTP message, or a gRPC one."""
    if kind == "grpc":
        return infer_request(target.model, target.version, request, parameters)
    headers, body = http_body(request, kind, parameters)
    return post(target.infer_path, target.host, {**headers, **token_header()}.items(), body)


def http_body(request: Request, kind: Format, parameters: Parameters | None = None) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a POST to /infer."""
    own = {"parameters": parameters} if parameters else {}
    if kind == "json":
        inputs = [{**_described(each), "data": each.data()} for each in request]
        return {"Content-Type": "application/json"}, orjson.dumps({"inputs": inputs, **own}, option=_NUMPY)
    blobs = [tensor.raw() for tensor in request]
    inputs = [
        {**_described(each), "parameters": {"binary_data_size": len(blob)}}
        for each, blob in zip(request, blobs, strict=True)
    ]
    head = orjson.dumps({"inputs": inputs, "parameters": {"binary_data_output": True, **(parameters or {})}})
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return headers, head + b"".join(blobs)


_NUMPY = orjson.OPT_SERIALIZE_NUMPY


def _described(tensor: Tensor) -> dict[str, object]:
    return {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype}
