"""The gRPC proxy between a gRPC client and a stand-in for Serve's HTTP port, behind which models answer. No Ray."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
import uvicorn

from deployments.auth.authenticator import authorization
from deployments.core.errors import BadRequest, InferenceFailed, NotFound, NotReady, QueueFull, TimedOut, Unauthorized
from deployments.grpc import proxy as proxy_module
from deployments.grpc.proxy import GrpcProxy
from deployments.grpc.proxy import _headers as headers_of
from deployments.grpc.service import SERVICE
from deployments.http.bodies import Receive, Scope, Send
from deployments.http.rest import build
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from models.signature import Array
from tests.deployments.fake_rpc import Request, column, raw
from tests.deployments.fake_service import FakeService, identity
from tests.serving import free_port

Code = grpc.StatusCode
Test = Callable[["Around"], Awaitable[None]]
Hook = Callable[[Scope, Send], Awaitable[None]]
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Around:
    """What is around the proxy: the client before it, Serve's port behind it, and what it knows of what Serve runs."""

    def __init__(self, channel: Any, port: int) -> None:
        self.channel, self.port = channel, port
        self.stub: Any = channel and GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        self.models = {"one": model("one"), "two": model("two")}
        self.seen: list[dict[str, str]] = []
        self.hook: Hook | None = None
        self.proxy: GrpcProxy
        self.grpc_port = 0

    async def http_address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    async def absent(self, name: str) -> NotFound | NotReady:
        return NotReady(f"{name} is loading") if name == "loading" else NotFound(f"no {name} here")

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as HAProxy and the replicas do together."""
        self.seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        service = self.models.get(scope["path"].split("/")[3])
        if self.hook is not None:
            await self.hook(scope, send)
        elif service is None:
            await plain(404)(scope, send)
        else:
            await build(service)(scope, receive, send)


def model(name: str, *row: int, datatype: str = "FP32") -> FakeService:
    service = identity(datatype, *row)
    service.name = name
    return service


def plain(status: int) -> Hook:
    """Answer as Serve or HAProxy do where they did not reach a model."""

    async def answer(_scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"secret"})

    return answer


def ask(name: str, value: float = 1, **more: Any) -> Any:
    request = raw(column([value], np.float32), "FP32", **more)
    request.model_name = name
    return request


def run(test: Test, authenticator: Any = None) -> None:
    async def between() -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{(before := free_port())}", options=UNLIMITED) as channel:
            around = Around(channel, free_port())
            around.proxy = proxy = GrpcProxy(around, "mine", ready, authenticator)
            around.grpc_port = before
            await proxy.start(before)
            try:
                async with serving(around):
                    await test(around)
            finally:
                await proxy.stop()

    asyncio.run(between())


@asynccontextmanager
async def serving(around: Around) -> AsyncIterator[None]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await around.serve(scope, receive, send)

    config = uvicorn.Config(app, port=around.port, log_config=None, lifespan="off", timeout_keep_alive=30)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", around.port)) as listening:
        task = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.001)
        yield
        server.force_exit = server.should_exit = True
        await task


async def ready() -> bool:
    return True


async def refused(call: Any) -> tuple[Any, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), str(caught.value.details())


def test_it_answers_for_the_server_itself() -> None:
    async def test(proxy: Around) -> None:
        assert (await proxy.stub.ServerLive(pb.ServerLiveRequest())).live
        assert (await proxy.stub.ServerReady(pb.ServerReadyRequest())).ready
        assert (await proxy.stub.ServerMetadata(pb.ServerMetadataRequest())).name == "mine"
        assert proxy.seen == []

    run(test)


def test_a_call_goes_on_to_the_model_it_names_and_its_answer_comes_back() -> None:
    async def test(proxy: Around) -> None:
        for name in ("one", "two"):
            answer = await proxy.stub.ModelInfer(ask(name, 7, id="7"))
            assert (answer.model_name, answer.id) == (name, "7")
            assert answer.raw_output_contents[0] == np.float32(7).tobytes()
        assert [len(service.seen) for service in proxy.models.values()] == [1, 1]

    run(test)


def test_request_id_and_trace_go_along() -> None:
    async def test(proxy: Around) -> None:
        sent = (("request_id", "abc"), ("traceparent", "00-1"), ("application", "two"), ("mine", "x"))
        await proxy.stub.ModelInfer(ask("one"), metadata=sent)
        [seen] = proxy.seen
        assert (seen["x-request-id"], seen["traceparent"]) == ("abc", "00-1")
        assert not {"application", "mine"} & seen.keys()

    run(test)


def test_metadata_cannot_break_out_of_its_header() -> None:
    class Context:
        def invocation_metadata(self) -> list[tuple[str, str]]:
            return [("request_id", "a\r\nx: y"), ("traceparent", "é"), ("tracestate", "a b"), ("mine", "x")]

    assert headers_of(Context()) == [("tracestate", "a b")]


def test_the_deadline_goes_along() -> None:
    async def test(proxy: Around) -> None:
        await proxy.stub.ModelInfer(ask("one"))
        await proxy.stub.ModelInfer(ask("one"), timeout=20)
        none, some = [request.timeout_s for request in proxy.models["one"].seen]
        assert none is None
        assert some is not None
        assert 15 < some < 25

    run(test)


def test_a_connection_serves_one_call_after_the_other_and_a_lost_one_is_replaced() -> None:
    ports: set[int] = set()

    async def test(proxy: Around) -> None:
        async def note(scope: Scope, send: Send) -> None:
            ports.add(scope["client"][1])
            await plain(404)(scope, send)

        proxy.hook = note
        for _ in range(3):
            await refused(proxy.stub.ModelInfer(ask("one")))
        assert len(ports) == 1

    run(test)


def test_a_connection_that_was_closed_while_idle_costs_no_call() -> None:
    async def test(proxy: Around) -> None:
        async def close(_scope: Scope, send: Send) -> None:
            # A length and a close: the connection ends without the server having said that it would.
            body = pb.ModelInferResponse(id="x").SerializeToString()
            headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        proxy.hook = close
        for _ in range(3):
            assert (await proxy.stub.ModelInfer(ask("one"))).id == "x"

    run(test)


def test_the_model_describes_itself_and_says_that_it_is_ready() -> None:
    async def test(proxy: Around) -> None:
        assert (await proxy.stub.ModelReady(pb.ModelReadyRequest(name="one", version="1"))).ready
        found = await proxy.stub.ModelMetadata(pb.ModelMetadataRequest(name="two"))
        assert (found.name, list(found.versions)) == ("two", ["1"])
        proxy.models["one"].up = False
        proxy.models["loading"] = proxy.models["one"]
        proxy.models["loading"].name = "loading"
        assert not (await proxy.stub.ModelReady(pb.ModelReadyRequest(name="loading"))).ready

    run(test)


@pytest.mark.parametrize(
    "error, code",
    [
        (BadRequest("too many rows"), Code.INVALID_ARGUMENT),
        (QueueFull(3), Code.RESOURCE_EXHAUSTED),
        (TimedOut(), Code.DEADLINE_EXCEEDED),
        (NotReady(), Code.UNAVAILABLE),
        (InferenceFailed(), Code.INTERNAL),
    ],
)
def test_what_the_model_refuses_is_told_with_its_code_and_sentence(error: Any, code: Any) -> None:
    async def test(proxy: Around) -> None:
        def act(_rows: dict[str, Array]) -> dict[str, Array]:
            raise error

        proxy.models["one"].act = act
        assert await refused(proxy.stub.ModelInfer(ask("one"))) == (code, error.message)
        [answer] = [each async for each in proxy.stub.ModelStreamInfer(iter([ask("one", id="7")]))]
        assert (answer.error_message, answer.infer_response.id) == (error.message, "7")

    run(test)


def test_a_version_that_is_not_there_is_not_found() -> None:
    async def test(proxy: Around) -> None:
        told = (Code.NOT_FOUND, "model 'one' has version '1', not '2é'")
        assert await refused(proxy.stub.ModelReady(pb.ModelReadyRequest(name="one", version="2é"))) == told
        assert await refused(proxy.stub.ModelMetadata(pb.ModelMetadataRequest(name="one", version="2é"))) == told
        assert await refused(proxy.stub.ModelInfer(ask("one", model_version="2é"))) == told

    run(test)


@pytest.mark.parametrize("status", [404, 500, 502, 503, 504])
@pytest.mark.parametrize("name, code", [("one", Code.NOT_FOUND), ("loading", Code.UNAVAILABLE)])
def test_what_serve_words_itself_is_told_in_our_words(name: str, code: Any, status: int) -> None:
    async def test(proxy: Around) -> None:
        proxy.hook = plain(status)
        sentence = "no one here" if name == "one" else "loading is loading"
        assert await refused(proxy.stub.ModelInfer(ask(name))) == (code, sentence)
        assert await refused(proxy.stub.ModelMetadata(pb.ModelMetadataRequest(name=name))) == (code, sentence)

    run(test)


def test_serve_s_own_time_limit_is_a_deadline() -> None:
    async def test(proxy: Around) -> None:
        proxy.hook = plain(408)
        assert (await refused(proxy.stub.ModelInfer(ask("one"))))[0] is Code.DEADLINE_EXCEEDED

    run(test)


def test_a_model_that_is_still_loading_is_not_ready_and_one_that_is_not_there_not_found() -> None:
    async def test(proxy: Around) -> None:
        assert not (await proxy.stub.ModelReady(pb.ModelReadyRequest(name="loading"))).ready
        told = await refused(proxy.stub.ModelReady(pb.ModelReadyRequest(name="three")))
        assert told == (Code.NOT_FOUND, "no three here")

    run(test)


def test_a_port_behind_that_nobody_listens_on_is_not_shown() -> None:
    async def test(proxy: Around) -> None:
        proxy.port = free_port()
        assert await refused(proxy.stub.ModelInfer(ask("one"))) == (Code.NOT_FOUND, "no one here")

    run(test)


def test_after_a_call_that_reached_nobody_the_next_asks_anew_where_serve_listens() -> None:
    async def test(proxy: Around) -> None:
        served, proxy.port = proxy.port, free_port()
        await refused(proxy.stub.ModelInfer(ask("one")))
        proxy.port = served
        assert (await proxy.stub.ModelInfer(ask("one"))).model_name == "one"

    run(test)


def test_a_fault_of_ours_is_not_shown() -> None:
    async def test(proxy: Around) -> None:
        async def fail() -> tuple[str, int]:
            raise RuntimeError("secret")

        proxy.http_address = fail  # type: ignore[method-assign]
        code, details = await refused(proxy.stub.ModelInfer(ask("one")))
        assert code is Code.INTERNAL
        assert details.startswith("internal error; the server log has it under request id")

    run(test)


@pytest.mark.parametrize(
    "sent, code, sentence",
    [
        (Request(), Code.INVALID_ARGUMENT, "the message names no model"),
        (Request(model_name="a\nb"), Code.NOT_FOUND, "no a\nb here"),
        (Request(model_name="../one"), Code.NOT_FOUND, "no ../one here"),
        (Request(model_name="é"), Code.NOT_FOUND, "no é here"),
        (b"\x0a\xff", Code.INVALID_ARGUMENT, "do not parse"),
    ],
)
def test_a_message_without_a_model_s_name_goes_nowhere(sent: Any, code: Any, sentence: str) -> None:
    async def test(proxy: Around) -> None:
        message = sent if isinstance(sent, bytes) else sent.SerializeToString()
        found, details = await refused(proxy.channel.unary_unary(f"/{SERVICE.full_name}/ModelInfer")(message))
        assert (found, sentence in details) == (code, True)
        assert proxy.seen == []

    run(test)


def test_a_stream_may_name_several_models_and_is_answered_in_order() -> None:
    async def test(proxy: Around) -> None:
        requests = [ask("one", id="1"), ask("two", id="2"), Request(id="3"), ask("three", id="4"), ask("one", id="5")]
        answers = [each async for each in proxy.stub.ModelStreamInfer(iter(requests))]
        assert [(each.infer_response.model_name, each.infer_response.id) for each in answers] == [
            ("one", "1"),
            ("two", "2"),
            ("", "3"),
            ("", "4"),
            ("one", "5"),
        ]
        assert [each.error_message for each in answers[2:4]] == ["the message names no model", "no three here"]

    run(test)


@pytest.mark.parametrize("cancel", [True, False])
def test_a_client_that_leaves_takes_its_request_behind_the_proxy_along(cancel: bool) -> None:
    async def test(proxy: Around) -> None:
        begun, left = asyncio.Event(), asyncio.Event()

        async def serve(_scope: Scope, receive: Receive, _send: Send) -> None:
            begun.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()

        proxy.serve = serve  # type: ignore[assignment, method-assign]
        call = proxy.stub.ModelInfer(ask("one"), timeout=None if cancel else 0.2)
        await begun.wait()
        if cancel:
            call.cancel()
        await left.wait()

    run(test)


def test_messages_far_over_grpc_s_own_limit_pass_both_ways() -> None:
    async def test(proxy: Around) -> None:
        proxy.models["one"] = model("one", 3, 224, 224, datatype="UINT8")
        images = np.random.default_rng(0).integers(0, 256, (64, 3, 224, 224), np.uint8)
        request = raw(images, "UINT8")
        request.model_name = "one"
        answer = await proxy.stub.ModelInfer(request)
        assert answer.raw_output_contents[0] == images.tobytes()

    run(test)


def test_a_port_that_is_taken_is_named_and_what_to_do() -> None:
    async def start(port: int) -> None:
        await GrpcProxy(Around(None, 0), "mine", ready).start(port)

    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"grpc_port {port}\nhelp: end what listens there"):
            asyncio.run(start(port))


class Closed:
    """The authenticator of a server whose only token is `good`."""

    def refusal(self, given: bytes | None) -> Unauthorized | None:
        return None if given == b"Bearer good" else Unauthorized()

    def check(self, given: bytes | None) -> None:
        refused = self.refusal(given)
        if refused is not None:
            raise refused

    def check_metadata(self, metadata: Any) -> None:
        self.check(authorization(metadata))


def test_a_token_goes_along_to_the_model_and_the_server_s_own_pages_ask_for_one() -> None:
    async def test(around: Around) -> None:
        good = (("authorization", "Bearer good"),)
        assert (await around.stub.ServerMetadata(pb.ServerMetadataRequest(), metadata=good)).name == "mine"
        assert (await around.stub.ServerLive(pb.ServerLiveRequest())).live
        await around.stub.ModelInfer(ask("one"), metadata=good)
        assert around.seen[-1]["authorization"] == "Bearer good"
        await around.stub.ModelInfer(ask("one"))  # Whether this model asks for a token is its own affair.
        assert (await refused(around.stub.ServerMetadata(pb.ServerMetadataRequest())))[0] is Code.UNAUTHENTICATED

    run(test, Closed())


def test_who_has_no_token_does_not_learn_which_models_there_are() -> None:
    async def test(around: Around) -> None:
        for name in ("nothing", "loading"):
            assert (await refused(around.stub.ModelInfer(ask(name))))[0] is Code.UNAUTHENTICATED
        good = (("authorization", "Bearer good"),)
        assert (await refused(around.stub.ModelInfer(ask("nothing"), metadata=good)))[0] is Code.NOT_FOUND

    run(test, Closed())


def test_a_model_s_refusal_comes_back_in_grpc_s_codes() -> None:
    async def test(around: Around) -> None:
        around.models["one"].authenticator = Closed()  # type: ignore[assignment]
        code, details = await refused(around.stub.ModelInfer(ask("one")))
        assert (code, "a token is needed" in details) == (Code.UNAUTHENTICATED, True)

    run(test)


@pytest.mark.parametrize("length", [300, 5_000_000])
def test_names_and_versions_beyond_all_measure_are_not_found_in_a_short_sentence(length: int) -> None:
    long = "m" * length
    calls = [
        ("ModelInfer", ask(long)),
        ("ModelInfer", ask("one", model_version=long)),
        ("ModelReady", pb.ModelReadyRequest(name=long)),
        ("ModelReady", pb.ModelReadyRequest(name="one", version=long)),
        ("ModelMetadata", pb.ModelMetadataRequest(name=long)),
        ("ModelMetadata", pb.ModelMetadataRequest(name="one", version=long)),
    ]

    async def test(around: Around) -> None:
        for method, request in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await getattr(around.stub, method)(request)
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND, (method, caught.value.details())
            assert len(caught.value.details() or "") <= 1001

    run(test)


@pytest.mark.parametrize("given, grace_s", [("20", 20.0), ("60", 60.0), ("", 5.0)])
def test_a_call_may_go_on_after_a_stop_for_the_time_that_the_config_gives(
    given: str, grace_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_SERVE_PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S", given)
    asked: list[float] = []

    class Server:
        async def stop(self, within_s: float) -> None:
            asked.append(within_s)

    async def stop() -> None:
        proxy = GrpcProxy(Around(None, 0), "mine", ready)
        proxy._server = Server()
        await proxy.refuse()
        await proxy.stop()

    asyncio.run(stop())
    assert asked == [grace_s, grace_s]


def test_a_call_that_takes_longer_than_that_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S", "0.05")

    async def test(around: Around) -> None:
        arrived, never = asyncio.Event(), asyncio.Event()

        async def hold(_scope: Scope, _send: Send) -> None:
            arrived.set()
            await never.wait()

        around.hook = hold
        call = around.stub.ModelInfer(ask("one"))
        waiting = asyncio.ensure_future(call.code())
        await arrived.wait()
        await around.proxy.refuse()
        assert await waiting in (Code.CANCELLED, Code.UNAVAILABLE)

    run(test)


def test_before_a_stop_calls_that_were_taken_are_passed_on_and_answered_and_no_other_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxy_module, "_SENT_WITHIN_S", 0.01)

    async def test(around: Around) -> None:
        arrived, answered = asyncio.Event(), asyncio.Event()

        async def hold(_scope: Scope, send: Send) -> None:
            arrived.set()
            await answered.wait()
            await plain(404)(_scope, send)

        around.hook = hold
        call = around.stub.ModelInfer(ask("one"))
        waiting = asyncio.ensure_future(call.code())
        await arrived.wait()
        await around.proxy.refuse()
        own = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{around.grpc_port}", options=own) as late:
            stub: Any = GRPCInferenceServiceStub(late)  # type: ignore[no-untyped-call]
            with pytest.raises(grpc.aio.AioRpcError, match="failed to connect"):
                await stub.ModelInfer(ask("one"))
        assert not waiting.done()
        answered.set()
        assert await waiting == Code.NOT_FOUND

    run(test)
