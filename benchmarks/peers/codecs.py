"""How inputs and answers look on the wire: the Open Inference Protocol, and the plain forms that peers' users write."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from deployments.http_client.reply import Reply
from pitstop.load.bodies import http_body
from pitstop.load.tensor import Tensor

from ..workloads import Array, Workload

Encoded = tuple[dict[str, str], bytes]
Encode = Callable[[Any], Encoded]
Decode = Callable[[Reply], Array]

_JSON = {"Content-Type": "application/json"}
_LENGTH = b"inference-header-content-length"


@dataclass(frozen=True, slots=True)
class Codec:
    """Where to post, how one input becomes headers and a body, and how an answer becomes float32 [outputs]."""

    path: str
    encode: Encode
    decode: Decode


def open_inference(workload: Workload, text_shape: tuple[int, ...] = (1,)) -> Codec:
    """Return the protocol of pitstop and Triton: JSON for numbers and text, the binary extension for images."""
    encode: dict[str, Encode] = {
        "mlp": lambda value: http_body([Tensor("x", "FP32", value[None])], "json"),
        "resnet50": lambda value: http_body([Tensor("image", "UINT8", value[None])], "binary"),
        "minilm": lambda value: http_body([Tensor("text", "BYTES", _bytes(value, text_shape))], "json"),
    }
    return Codec(f"/v2/models/{workload.name}/infer", encode[workload.name], _oip_answer)


def plain(path: str) -> Callable[[Workload], Codec]:
    """Return what most peers are asked: {"x": [...]} or {"text": "..."} for {"y": [...]}; images, logits as bytes."""

    def codec(workload: Workload) -> Codec:
        encode: dict[str, Encode] = {"mlp": _plain_numbers, "resnet50": _raw, "minilm": _plain_text}
        return Codec(path, encode[workload.name], _from_bytes if workload.name == "resnet50" else from_json)

    return codec


def from_json(answer: Reply) -> Array:
    return np.asarray(json.loads(answer.body)["y"], np.float32).ravel()


def as_json(content: object) -> Encoded:
    return _JSON, json.dumps(content, separators=(",", ":")).encode()


def numbers(value: Array) -> list[float]:
    """Return the shortest decimals that give the float32 numbers back."""
    return [float(str(each)) for each in value]


def base64_of(image: Array) -> str:
    return base64.b64encode(image.tobytes()).decode()


def _plain_numbers(value: Array) -> Encoded:
    return as_json({"x": numbers(value)})


def _plain_text(value: str) -> Encoded:
    return as_json({"text": value})


def _raw(value: Array) -> Encoded:
    return {"Content-Type": "application/octet-stream"}, value.tobytes()


def _from_bytes(answer: Reply) -> Array:
    return np.frombuffer(answer.body, np.float32)


def _bytes(text: str, shape: tuple[int, ...]) -> Array:
    return np.array([text.encode()], object).reshape(shape)


def _oip_answer(answer: Reply) -> Array:
    length = answer.headers.get(_LENGTH)
    if length is not None:
        return np.frombuffer(answer.body[int(length) :], np.float32)
    output = json.loads(answer.body)["outputs"][0]
    return np.asarray(output["data"], np.float32).ravel()
