"""Requests as they go over the wire: written once, before the clock starts, and sent round and round."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from configs.named_size import named_size
from deployments.http_client.request import post

from . import drawn, input_file
from .errors import LoadError
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
_LENGTH = 32
_MOST_BYTES = 64 << 20


def requests(target: Target, path: Path | None, rows: int, length: int | None) -> list[Request]:
    """Return the inputs to send: from a file, the example in the model's metadata, or drawn to fit that.

    `length` is the size of the open dimension, in place of the example or the middle one of the sizes that are warmed.
    """
    if path is not None:
        return list(input_file.read(path, target.inputs, rows))
    if (example := target.properties.get("example")) is not None and length is None:
        return [input_file.repeated(example, rows)]
    found: list[Request] = []
    size = 0
    inputs = list(_sized(target, length))
    while len(found) < _DRAWN and size < _MOST_BYTES:
        first = len(found) * len(inputs)
        request = [drawn.draw(each, rows, length or _LENGTH, first + place) for place, each in enumerate(inputs)]
        found.append(request)
        size += sum(tensor.values.nbytes for tensor in request)
    return found


def _sized(target: Target, length: int | None) -> Iterator[dict[str, Any]]:
    """Yield the inputs with a size for each dimension that has a name, and the bounds of their whole numbers."""
    dims, named = target.properties.get("dims"), target.properties.get("shapes")
    if not isinstance(dims, Mapping) or not isinstance(named, Mapping):
        yield from target.inputs
        return
    ranges = target.properties.get("ranges", {})
    sizes = {name: length or each["sizes"][len(each["sizes"]) // 2] for name, each in dims.items()}
    if length is not None and len(sizes) > 1:
        help_ = "leave it out for the middle one of each one's sizes, or send requests of your own by --requests"
        raise LoadError(f"--length {length}: the model has several open dimensions: {', '.join(sizes)}", help_)
    for declared in target.inputs:
        shape = named.get(declared["name"], declared["shape"])
        own = ranges.get(declared["name"], {})
        bounds = {"low": own.get("low"), "high": sizes.get(own.get("high"), own.get("high"))}
        yield {**declared, **bounds, "shape": [_size(axis, size, sizes) for axis, size in enumerate(shape)]}


def _size(axis: int, size: int | str, sizes: Mapping[str, int]) -> int:
    """Return a size, of arithmetic too; -1 for the rows and for a size that is open without a name."""
    if not axis or not isinstance(size, str):
        return size if isinstance(size, int) else -1
    named = named_size(axis, size)
    return named.of(sizes[named.name])


def source(target: Target, length: int | None = None) -> str:
    """Say where requests come from for which the user names no file."""
    drawn_ = length is not None or target.properties.get("example") is None
    return "drawn from the metadata" if drawn_ else "the metadata's example"


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
