"""Good requests of every kind, for others to break: over HTTP and over gRPC."""

import gzip
import json
from typing import Any, NamedTuple

import numpy as np
import orjson

from deployments.protocol.encoding import to_binary
from deployments.stubs import open_inference_pb2 as pb

SHAPE = [1, 2]
ARRAYS: dict[str, Any] = {
    "FP32": np.ones((1, 2), np.float32),
    "INT64": np.ones((1, 2), np.int64),
    "FP16": np.ones((1, 2), np.float16),
    "BYTES": np.array([[b"a", b"bc"]], object),
}
_JSON = {"Content-Type": "application/json"}
BLOBS = [to_binary(datatype, array) for datatype, array in ARRAYS.items()]


class Seed(NamedTuple):
    """A request to a path below a model's."""

    path: str
    headers: dict[str, str]
    body: bytes
    model: str = "echo"


def http() -> list[Seed]:
    """Return good requests for the models `echo` and `open`."""
    head = orjson.dumps({"id": "7", "inputs": _binary_inputs(), "parameters": {"binary_data_output": True}})
    length = {"Inference-Header-Content-Length": str(len(head))}
    binary = head + b"".join(BLOBS)
    instance = {"INPUT0": [1, 2], "INPUT1": [3, 4], "INPUT2": [0.5, 1], "INPUT3": ["a", "b"]}
    return [
        Seed("/infer", length, binary),
        Seed("/infer", {**length, "Content-Encoding": "gzip"}, gzip.compress(binary)),
        Seed("/infer", _JSON, orjson.dumps({"inputs": [_x()], "outputs": [{"name": "y"}]}), "open"),
        Seed("/infer", {"Content-Type": "application/x-protobuf"}, grpc()),
        Seed("/infer", {"Inference-Header-Content-Length": "0"}, BLOBS[0]),
        Seed("/predict", _JSON, orjson.dumps({"instances": [instance]})),
        Seed("/predict", _JSON, b'{"instances": [[1], [2]]}', "open"),
        Seed("/predict", {"Content-Type": "image/png"}, b"\x89PNG\r\n\x1a\n" + bytes(40)),
    ]


def grpc() -> bytes:
    """Return a good ModelInferRequest for the model `echo`."""
    inputs = [
        pb.ModelInferRequest.InferInputTensor(name=f"INPUT{n}", datatype=datatype, shape=SHAPE)
        for n, datatype in enumerate(ARRAYS)
    ]
    request = pb.ModelInferRequest(model_name="echo", id="7", inputs=inputs, raw_input_contents=BLOBS)
    written: bytes = request.SerializeToString()
    return written


def _binary_inputs() -> list[dict[str, Any]]:
    return [
        {"name": f"INPUT{n}", "shape": SHAPE, "datatype": datatype, "parameters": {"binary_data_size": len(BLOBS[n])}}
        for n, datatype in enumerate(ARRAYS)
    ]


def framed(sizes: list[Any], shape: list[int]) -> bytes:
    """Return the JSON of a binary request that claims these sizes, an input each, and this shape for the first."""
    inputs = _binary_inputs()
    for tensor, size in zip(inputs, sizes, strict=False):
        tensor["parameters"] = {"binary_data_size": size}
    if shape:
        inputs[0]["shape"] = shape
    return json.dumps({"inputs": inputs}).encode()


def _x() -> dict[str, Any]:
    return {"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [1, 2.5]}
