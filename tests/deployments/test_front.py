"""The front between a real client and a stand-in for Serve's port: both are gRPC servers, and there is no Ray."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from deployments.errors import NotFound, NotReady, ServeError
from deployments.front import Front
from deployments.rpc_service import add_to_server, path
from deployments.rpc_status import MARK
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.serving import free_port

Code = grpc.StatusCode
Request = pb.ModelInferRequest
Test = Callable[["Between"], Awaitable[None]]
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Serve:
    """Stands for Serve's port: it notes what comes, and answers as it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any], float | None]] = []
        self.answer: Callable[[bytes, Any], Awaitable[bytes]] = echo
        self.cancelled = 0

    def __getattr__(self, method: str) -> Any:
        async def called(request: bytes, context: Any) -> bytes:
            self.seen.append((method, dict(context.invocation_metadata()), context.time_remaining()))
            try:
                return await self.answer(request, context)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

        return called


async def echo(request: bytes, _context: Any) -> bytes:
    found = Request.FromString(request)
    answer: bytes = pb.ModelInferResponse(model_name=found.model_name, id=found.id).SerializeToString()
    return answer


def refusing(code: Any, details: str, mark: str | None) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def refuse(_request: bytes, context: Any) -> bytes:
        if mark is not None:
            context.set_trailing_metadata([("request_id", "abc-7"), (MARK, mark)])
        context.set_code(code)
        context.set_details(details)
        return b""

    return refuse


class Between:
    """What the front knows of Serve, and the client before it."""

    def __init__(self, serve: Serve, address: str, channel: Any) -> None:
        self.serve, self.address, self.channel = serve, address, channel
        self.stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]

    async def grpc_address(self) -> str:
        return self.address

    async def absent(self, name: str) -> ServeError:
        return NotReady(f"{name} is loading") if name == "loading" else NotFound(f"no {name} here")


def run(test: Test) -> None:
    async def between() -> None:
        behind, before = free_port(), free_port()
        server = grpc.aio.server(options=UNLIMITED)
        serve = Serve()
        add_to_server(serve, server)
        server.add_insecure_port(f"127.0.0.1:{behind}")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{before}", options=UNLIMITED) as channel:
            around = Between(serve, f"127.0.0.1:{behind}", channel)
            front = Front(around, "mine", ready)
            await front.start(before)
            try:
                await test(around)
            finally:
                await front.stop()
                await server.stop(0)

    asyncio.run(between())


async def ready() -> bool:
    return True


async def refused(call: Any) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def test_it_answers_for_the_server_itself() -> None:
    async def test(front: Between) -> None:
        assert (await front.stub.ServerLive(pb.ServerLiveRequest())).live
        assert (await front.stub.ServerReady(pb.ServerReadyRequest())).ready
        assert (await front.stub.ServerMetadata(pb.ServerMetadataRequest())).name == "mine"
        assert front.serve.seen == []

    run(test)


def test_a_call_goes_on_to_the_application_of_its_model_with_its_deadline_and_metadata() -> None:
    async def test(front: Between) -> None:
        sent = (("request_id", "abc"), ("traceparent", "00-1"), ("application", "other"))
        answer = await front.stub.ModelInfer(Request(model_name="one", id="7"), metadata=sent, timeout=20)
        assert (answer.model_name, answer.id) == ("one", "7")
        [(method, metadata, left_s)] = front.serve.seen
        assert method == "ModelInfer"
        assert (metadata["application"], metadata["request_id"], metadata["traceparent"]) == ("one", "abc", "00-1")
        assert left_s is not None
        assert 15 < left_s < 25

    run(test)


def test_a_call_without_a_deadline_has_none_behind_the_front() -> None:
    async def test(front: Between) -> None:
        await front.stub.ModelInfer(Request(model_name="one"))
        assert front.serve.seen[0][2] is None

    run(test)


def test_the_other_calls_for_a_model_go_on_too() -> None:
    async def test(front: Between) -> None:
        front.serve.answer = answering(pb.ModelReadyResponse(ready=True))
        assert (await front.stub.ModelReady(pb.ModelReadyRequest(name="one"))).ready
        front.serve.answer = answering(pb.ModelMetadataResponse(platform="pytorch"))
        assert (await front.stub.ModelMetadata(pb.ModelMetadataRequest(name="two"))).platform == "pytorch"
        assert [(seen[0], seen[1]["application"]) for seen in front.serve.seen] == [
            ("ModelReady", "one"),
            ("ModelMetadata", "two"),
        ]

    run(test)


def answering(message: Any) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def answer(_request: bytes, _context: Any) -> bytes:
        written: bytes = message.SerializeToString()
        return written

    return answer


def test_what_the_model_refuses_is_told_unchanged() -> None:
    async def test(front: Between) -> None:
        front.serve.answer = refusing(Code.RESOURCE_EXHAUSTED, "the queue is full: try again in 3 s", "queue_full")
        error = await refused(front.stub.ModelInfer(Request(model_name="one")))
        assert (error.code(), error.details()) == (Code.RESOURCE_EXHAUSTED, "the queue is full: try again in 3 s")

    run(test)


@pytest.mark.parametrize(
    "name, code, told, sentence",
    [
        ("one", Code.INTERNAL, Code.INTERNAL, "internal error; the server log has it under request id"),
        ("one", Code.UNKNOWN, Code.INTERNAL, "internal error; the server log has it under request id"),
        ("one", Code.UNIMPLEMENTED, Code.INTERNAL, "internal error; the server log has it under request id"),
        ("one", Code.NOT_FOUND, Code.NOT_FOUND, "no one here"),
        ("loading", Code.NOT_FOUND, Code.UNAVAILABLE, "loading is loading"),
        ("loading", Code.UNAVAILABLE, Code.UNAVAILABLE, "loading is loading"),
        ("one", Code.RESOURCE_EXHAUSTED, Code.RESOURCE_EXHAUSTED, "the queue is full: try again in 1 s"),
        ("one", Code.DEADLINE_EXCEEDED, Code.DEADLINE_EXCEEDED, "no answer within the time allowed"),
    ],
)
def test_what_serve_words_itself_is_told_in_our_words(name: str, code: Any, told: Any, sentence: str) -> None:
    async def test(front: Between) -> None:
        front.serve.answer = refusing(code, "ValueError: secret", None)
        error = await refused(front.stub.ModelInfer(Request(model_name=name)))
        assert error.code() is told
        assert error.details().startswith(sentence)
        [answer] = [each async for each in front.stub.ModelStreamInfer(iter([Request(model_name=name, id="7")]))]
        assert answer.error_message.startswith(sentence)
        assert answer.infer_response.id == "7"

    run(test)


def test_a_port_behind_that_nobody_listens_on_is_not_shown() -> None:
    async def test(front: Between) -> None:
        front.address = f"127.0.0.1:{free_port()}"
        error = await refused(front.stub.ModelInfer(Request(model_name="one")))
        assert (error.code(), error.details()) == (Code.NOT_FOUND, "no one here")

    run(test)


@pytest.mark.parametrize(
    "request_, code, sentence",
    [
        (Request(), Code.INVALID_ARGUMENT, "the message names no model"),
        (Request(model_name="a\nb"), Code.NOT_FOUND, "no a\nb here"),
        (Request(model_name="é"), Code.NOT_FOUND, "no é here"),
        (b"\x0a\xff", Code.INVALID_ARGUMENT, "do not parse"),
    ],
)
def test_a_message_without_a_model_s_name_goes_nowhere(request_: Any, code: Any, sentence: str) -> None:
    async def test(front: Between) -> None:
        message = request_ if isinstance(request_, bytes) else request_.SerializeToString()
        error = await refused(front.channel.unary_unary(path("ModelInfer"))(message))
        assert error.code() is code
        assert sentence in error.details()
        assert front.serve.seen == []

    run(test)


def test_a_model_that_is_still_loading_is_not_ready_and_one_that_is_not_there_not_found() -> None:
    async def test(front: Between) -> None:
        front.serve.answer = refusing(Code.NOT_FOUND, "Application not found", None)
        assert not (await front.stub.ModelReady(pb.ModelReadyRequest(name="loading"))).ready
        error = await refused(front.stub.ModelReady(pb.ModelReadyRequest(name="one")))
        assert error.code() is Code.NOT_FOUND

    run(test)


def test_a_stream_may_name_several_models_and_is_answered_in_order() -> None:
    async def test(front: Between) -> None:
        other = asyncio.Event()

        async def answer(request: bytes, context: Any) -> bytes:
            if dict(context.invocation_metadata())["application"] == "one":
                await other.wait()
            else:
                other.set()
            return await echo(request, context)

        front.serve.answer = answer
        requests = [Request(model_name="one", id="1"), Request(model_name="two", id="2"), Request(id="3")]
        answers = [each async for each in front.stub.ModelStreamInfer(iter(requests))]
        assert [(each.infer_response.model_name, each.infer_response.id) for each in answers] == [
            ("one", "1"),
            ("two", "2"),
            ("", "3"),
        ]
        assert answers[2].error_message == "the message names no model"

    run(test)


def test_a_client_that_leaves_takes_its_call_behind_the_front_along() -> None:
    async def test(front: Between) -> None:
        begun = asyncio.Event()

        async def wait(_request: bytes, _context: Any) -> bytes:
            begun.set()
            await asyncio.Event().wait()
            return b""

        front.serve.answer = wait
        call = front.stub.ModelInfer(Request(model_name="one"))
        await begun.wait()
        call.cancel()
        while not front.serve.cancelled:
            await asyncio.sleep(0.01)

    run(test)


def test_messages_far_over_grpc_s_own_limit_pass_both_ways() -> None:
    async def test(front: Between) -> None:
        blob = bytes(range(256)) * 40_000

        async def answer(request: bytes, _context: Any) -> bytes:
            [sent] = Request.FromString(request).raw_input_contents
            written: bytes = pb.ModelInferResponse(raw_output_contents=[sent]).SerializeToString()
            return written

        front.serve.answer = answer
        found = await front.stub.ModelInfer(Request(model_name="one", raw_input_contents=[blob]))
        assert list(found.raw_output_contents) == [blob]

    run(test)
