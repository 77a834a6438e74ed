"""Calls a model's gRPC methods as Serve does: bytes in, an answer that serializes itself, a context for the status."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import grpc
import numpy as np

from deployments.grpc.calls import METHODS
from deployments.protocol.encoding import to_binary
from deployments.stubs import open_inference_pb2 as pb
from models.signature import Array
from tests.deployments.fake_service import FakeService

Request = pb.ModelInferRequest
Input = pb.ModelInferRequest.InferInputTensor
Output = pb.ModelInferRequest.InferRequestedOutputTensor


class Owner(NamedTuple):
    """The replica of a model, as far as the methods know it."""

    service: FakeService


class Context:
    """Serve's context of a call, as far as we use it."""

    def __init__(self) -> None:
        self.code: Any = grpc.StatusCode.OK
        self.details = ""

    def set_code(self, code: Any) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details

    def trailing_metadata(self) -> list[tuple[str, str]]:
        return [("request_id", "abc-7")]


def call(service: FakeService, method: str, request: Any) -> tuple[bytes, Context]:
    """Call one method; the request may be a message or bytes."""
    context = Context()
    message = request if isinstance(request, bytes) else request.SerializeToString()
    answer = asyncio.run(METHODS[method](Owner(service), message, grpc_context=context))
    return answer.SerializeToString(), context


def infer(service: FakeService, request: Any) -> pb.ModelInferResponse:
    """Call ModelInfer, and insist on an answer."""
    answer, context = call(service, "ModelInfer", request)
    assert context.code is grpc.StatusCode.OK, context.details
    found: pb.ModelInferResponse = pb.ModelInferResponse.FromString(answer)
    return found


def refused(service: FakeService, request: Any, method: str = "ModelInfer") -> Context:
    """Call a method, and insist that nothing but a status is answered."""
    answer, context = call(service, method, request)
    assert answer == b""
    return context


def stream(service: FakeService, requests: Sequence[Any]) -> tuple[list[pb.ModelStreamInferResponse], Context]:
    context = Context()

    async def sent() -> AsyncIterator[bytes]:
        for request in requests:
            yield request if isinstance(request, bytes) else request.SerializeToString()

    async def received() -> list[pb.ModelStreamInferResponse]:
        answers = METHODS["ModelStreamInfer"](Owner(service), sent(), grpc_context=context)
        return [pb.ModelStreamInferResponse.FromString(each.SerializeToString()) async for each in answers]

    return asyncio.run(received()), context


def raw(array: Array, datatype: str, name: str = "INPUT0", **more: Any) -> Any:
    """Ask for one input, sent raw."""
    tensor = Input(name=name, datatype=datatype, shape=array.shape)
    return Request(model_name="fake", inputs=[tensor], raw_input_contents=[to_binary(datatype, array)], **more)


def typed(field: str, values: Sequence[Any], datatype: str, shape: Sequence[int] | None = None, **more: Any) -> Any:
    """Ask for one input, sent typed."""
    contents = pb.InferTensorContents(**{field: values})
    tensor = Input(name="INPUT0", datatype=datatype, shape=[len(values)] if shape is None else shape, contents=contents)
    return Request(model_name="fake", inputs=[tensor], **more)


def parameter(value: Any) -> Any:
    """Write a parameter in the field that a value of its type takes."""
    kinds: dict[type, str] = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
    return pb.InferParameter(**{kinds[type(value)]: value})


def column(values: Sequence[Any], dtype: Any) -> Array:
    return np.array(values, dtype)
