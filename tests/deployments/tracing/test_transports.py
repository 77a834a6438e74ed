"""Each way that a request takes tells its observer the same: read, answered or failed, and its end, once."""

import asyncio
from typing import Any

import pytest

from deployments.core.errors import BadRequest
from deployments.core.observation import Times
from deployments.grpc.calls import METHODS
from deployments.http import short_path
from deployments.stubs import open_inference_pb2 as pb
from tests.deployments.fake_rpc import Context, Input, Owner
from tests.deployments.fake_service import FakeService, identity, infer, raising
from tests.deployments.http.test_short_path import BODY, Connection, Held, post

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
ANSWERED = ["begin", "read", "answered", "end"]


class Observer(Times):
    """Observes every request, and notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.given: list[tuple[Any, ...]] = []

    def begin(self, *given: Any) -> "Observer":
        self.given.append(given)
        self.told.append("begin")
        return self

    def read(self, rows: int, request_id: str | None) -> None:  # noqa: ARG002  # The protocol has both.
        self.told.append("read")

    def answered(self) -> None:
        self.told.append("answered")

    def failed(self, error: BaseException) -> None:
        self.told.append(f"failed: {type(error).__name__}")

    def end(self, lost: bool = False) -> None:
        self.told.append("lost" if lost else "end")


def observed(service: FakeService) -> Observer:
    found = Observer()
    service.observer = found
    return found


def test_the_short_path_tells_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> Observer:
        seen = observed(service := identity("FP32"))
        Connection(service, monkeypatch).protocol.data_received(post(traceparent=TRACEPARENT))
        return seen

    seen = asyncio.run(main())
    assert seen.told == ANSWERED
    assert seen.given == [("infer", TRACEPARENT, None)]


def test_the_short_path_tells_of_a_refusal_and_of_a_model_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(service: FakeService, body: bytes) -> list[str]:
        seen = observed(service)
        Connection(service, monkeypatch).protocol.data_received(post(body))
        return seen.told

    assert asyncio.run(main(identity("FP32"), b"{")) == ["begin", "failed: InvalidJson", "end"]
    assert asyncio.run(main(raising(KeyError("x")), BODY)) == ["begin", "read", "failed: KeyError", "end"]


def test_the_short_path_tells_of_an_answer_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BadRequest("an output is no text")

    async def main() -> list[str]:
        seen = observed(service := identity("FP32"))
        monkeypatch.setattr(short_path, "write_infer", refuse)
        Connection(service, monkeypatch).protocol.data_received(post())
        return seen.told

    assert asyncio.run(main()) == ["begin", "read", "failed: BadRequest", "end"]


def test_the_short_path_tells_of_a_client_that_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> list[str]:
        seen = observed(service := Held())
        connection = Connection(service, monkeypatch)
        connection.protocol.data_received(post())
        connection.protocol.connection_lost(None)
        return seen.told

    assert asyncio.run(main()) == ["begin", "read", "lost"]


def test_serve_s_wrapper_tells_the_same() -> None:
    seen = observed(service := identity("FP32"))
    body = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [1.5]}]}
    assert infer(service, body, headers={"traceparent": TRACEPARENT, "tracestate": "a=b"}).status == 200
    assert seen.told == ANSWERED
    assert seen.given == [("infer", TRACEPARENT, "a=b")]
    assert infer(service, {}).status == 400
    assert seen.told[len(ANSWERED) :] == ["begin", "failed: BadRequest", "end"]


def test_grpc_tells_the_same() -> None:
    class WithMetadata(Context):
        def invocation_metadata(self) -> list[tuple[str, str]]:
            return [("traceparent", TRACEPARENT)]

    seen = observed(service := identity("FP32"))
    contents = pb.InferTensorContents(fp32_contents=[1.5])
    tensor = Input(name="INPUT0", datatype="FP32", shape=[1], contents=contents)
    for request in (pb.ModelInferRequest(model_name="fake", inputs=[tensor]), pb.ModelInferRequest(model_name="other")):
        asyncio.run(METHODS["ModelInfer"](Owner(service), request.SerializeToString(), grpc_context=WithMetadata()))
    assert seen.told == [*ANSWERED, "begin", "failed: NotFound", "end"]
    assert seen.given == [("ModelInfer", TRACEPARENT, None)] * 2
