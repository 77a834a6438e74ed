"""The short path on a connection without a socket: what it takes, what it leaves to uvicorn, what it never loses."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import uvicorn
from uvicorn.server import ServerState

from configs.schema import Tunables
from deployments.core.request import InferRequest, IsDisconnected, OnInferResult
from deployments.http import short_path
from deployments.http.bodies import Receive, Scope, Send
from deployments.http.request_head_cache import Endpoint
from tests.deployments.fake_service import FakeService, identity

BODY = orjson.dumps({"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [1.5]}]})


def post(body: bytes = BODY, path: str = "/v2/models/fake/infer", **headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Counter:
    """Counts as Serve's counter does."""

    ongoing = 0
    seen = 0

    def begin(self) -> float:
        self.ongoing += 1
        self.seen += 1
        return 0.0

    def end(self, _: float) -> None:
        self.ongoing -= 1


class Held(FakeService):
    """Answers when the test says so."""

    def __init__(self) -> None:
        fake = identity("FP32")
        super().__init__(fake.signature, fake.act)
        self.waiting: list[Callable[[], None]] = []

    def begin(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None = None
    ) -> None:
        self.seen.append(request)
        self.is_disconnected = is_disconnected
        self.waiting.append(lambda: on_result(self.result(request)))


class Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.sent = b""
        self.closed = self.half_closed = False
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.half_closed = True

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class Connection:
    """One client of a server that runs `service` on the short path and answers everything else with `uvicorn's`."""

    def __init__(self, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(short_path, "_offered", {b"/v2/models/fake/infer": Endpoint(service)})
        self.counter = Counter()
        config = uvicorn.Config(_long_way, log_config=None, lifespan="off", access_log=False)
        config.load()
        self.state = ServerState()
        made = short_path.protocol(self.counter)  # type: ignore[arg-type]
        self.protocol = made(config=config, server_state=self.state, app_state={})
        self.socket = Socket()
        self.protocol.connection_made(self.socket)

    async def send(self, *pieces: bytes) -> bytes:
        """Send, let everything settle, and return what came back since the last time."""
        self.socket.sent = b""
        for piece in pieces:
            self.protocol.data_received(piece)
        for _ in range(20):
            await asyncio.sleep(0)
        return self.socket.sent


async def _long_way(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"uvicorn's"})


def run(test: Any, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Connection:
    async def main() -> Connection:
        connection = Connection(service, monkeypatch)
        await test(connection)
        return connection

    return asyncio.run(main())


def test_a_whole_request_is_answered_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        sent = await connection.send(post(x_request_id="abc"))
        head, _, body = sent.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"x-request-id: abc" in head
        assert b"content-length: %d" % len(body) in head
        assert orjson.loads(body)["outputs"][0]["data"] == [1.5]
        assert connection.counter.ongoing == 0

    run(test, identity("FP32"), monkeypatch)


@pytest.mark.parametrize("cut", [1, 30, len(post()) - len(BODY), len(post()) - len(BODY) + 1, len(post()) - 1])
def test_a_request_may_come_in_pieces(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        whole = post()
        assert b"200 OK" in await connection.send(whole[:cut], whole[cut:])
        # Whoever took the first, the next one is taken as usual.
        assert b"200 OK" in await connection.send(whole)

    run(test, identity("FP32"), monkeypatch)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v2/models/fake/infer HTTP/1.1\r\nhost: x\r\n\r\n",
        post(path="/v2/models/fake/predict"),
        post(path="/v2/models/fake/infer?x=1"),
        post(content_encoding="gzip"),
        post(connection="close"),
        post().replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(expect="100-continue"),
        b"POST /v2/models/fake/infer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_unusual_is_left_to_uvicorn(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        assert (await connection.send(raw)).endswith(b"uvicorn's")
        assert connection.counter.seen == 0

    run(test, identity("FP32"), monkeypatch)


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /v2/models/fake/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /v2/models/fake/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nbad header\r\n\r\n{}",
        b"POST /v2/models/fake/infer HTTP/1.1\r\nhost: x\r\ncontent-length: -2\r\n\r\n{}",
    ],
)
def test_a_head_that_two_parsers_could_read_two_ways_is_refused(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        assert b" 400 " in await connection.send(raw)
        assert connection.counter.seen == 0

    run(test, identity("FP32"), monkeypatch)


def test_requests_behind_one_another_are_answered_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        other = b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n"
        sent = await connection.send(post() + post(BODY.replace(b"1.5", b"2.5")) + other + post())
        places = [sent.index(each) for each in (b"[1.5]", b"[2.5]", b"uvicorn's")]
        assert places == sorted(places)
        assert sent.count(b"HTTP/1.1 200") == 4

    run(test, identity("FP32"), monkeypatch)


def test_what_is_wrong_with_a_body_is_said_and_the_connection_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        assert b"400 Bad Request" in await connection.send(post(b"{"))
        assert b"200 OK" in await connection.send(post())

    run(test, identity("FP32"), monkeypatch)


def test_an_exception_of_ours_is_a_500_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    service = identity("FP32")

    def fails(_: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        raise KeyError("secret")

    service.act = fails

    async def test(connection: Connection) -> None:
        sent = await connection.send(post())
        assert b"500 Internal Server Error" in sent
        assert b"secret" not in sent
        assert connection.counter.ongoing == 0

    run(test, service, monkeypatch)


def test_a_body_over_the_limit_is_not_read_and_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    service = identity("FP32")
    service.tunables = Tunables(max_body_mib=1 / 1024)

    async def test(connection: Connection) -> None:
        sent = await connection.send(post(b" " * 2000)[:200])
        assert b"413" in sent
        assert b"connection: close" in sent
        assert (connection.socket.half_closed, connection.socket.closed) == (True, False)
        assert connection.counter.ongoing == 0

    run(test, service, monkeypatch)


def test_a_server_that_stops_answers_what_it_has_begun_and_then_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Held()

    async def test(connection: Connection) -> None:
        await connection.send(post())
        connection.protocol.shutdown()
        assert not connection.socket.closed
        assert connection.counter.ongoing == 1
        service.waiting[0]()
        assert b"200 OK" in connection.socket.sent
        assert connection.socket.closed
        assert connection.counter.ongoing == 0

    run(test, service, monkeypatch)


def test_an_idle_connection_closes_at_once_when_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        await connection.send(post())
        connection.protocol.shutdown()
        assert connection.socket.closed

    run(test, identity("FP32"), monkeypatch)


def test_a_client_that_leaves_is_known_to_the_batcher_and_off_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Held()

    async def test(connection: Connection) -> None:
        await connection.send(post())
        is_disconnected = service.is_disconnected
        assert is_disconnected is not None
        assert not is_disconnected()
        connection.protocol.connection_lost(None)
        assert is_disconnected()
        assert connection.counter.ongoing == 0
        service.waiting[0]()
        assert connection.socket.sent == b""

    run(test, service, monkeypatch)


def test_large_answers_are_compressed_as_the_client_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [2000], "data": [1] * 2000}
        sent = await connection.send(post(orjson.dumps({"inputs": [tensor]}), accept_encoding="gzip"))
        assert b"content-encoding: gzip" in sent
        assert len(sent) < 1000

    run(test, identity("FP32"), monkeypatch)


@pytest.mark.parametrize("answered", [False, True], ids=["while uvicorn answers", "after it answered"])
def test_a_connection_that_uvicorn_was_the_last_to_use_is_not_closed_by_our_timer(
    answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(connection: Connection) -> None:
        await connection.send(post())
        gate = asyncio.Event()

        async def slowly(scope: Scope, receive: Receive, send: Send) -> None:
            await gate.wait()
            await _long_way(scope, receive, send)

        connection.protocol.app = slowly
        if answered:
            gate.set()
        sent = await connection.send(post(path="/v2/models/fake/predict"))
        assert sent.endswith(b"uvicorn's") is answered
        connection.protocol._idle_since_s -= 1000
        connection.protocol._close_if_idle()
        assert not connection.socket.closed
        gate.set()
        assert answered or (await connection.send()).endswith(b"uvicorn's")

    run(test, identity("FP32"), monkeypatch)


def test_a_connection_that_nobody_used_for_the_keep_alive_time_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        await connection.send(post())
        connection.protocol._idle_since_s -= 1000
        connection.protocol._close_if_idle()
        assert connection.socket.closed

    run(test, identity("FP32"), monkeypatch)


def test_an_empty_body_with_a_request_behind_it_costs_neither_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        sent = await connection.send(post(b"") + post())
        assert sent.startswith(b"HTTP/1.1 400 Bad Request")
        assert sent.count(b"HTTP/1.1 200 OK") == 1
        assert connection.counter.ongoing == 0

    run(test, identity("FP32"), monkeypatch)


def test_what_comes_while_a_request_waits_for_its_turn_stays_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Held()

    async def test(connection: Connection) -> None:
        second, third = post(x_request_id="second"), post(x_request_id="third")
        await connection.send(post(x_request_id="first") + second[:-5])
        connection.socket.sent = b""
        service.waiting.pop()()
        # uvloop reads from sockets before what was handed to call_soon.
        connection.protocol.data_received(second[-5:] + third)
        for _ in range(2):
            await connection.send()
            service.waiting.pop()()
        sent = connection.socket.sent
        assert connection.counter.seen == 3
        assert connection.counter.ongoing == 0
        assert b"third" in sent

    run(test, service, monkeypatch)


def test_a_client_that_sends_ahead_of_the_answers_is_read_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Held()

    async def test(connection: Connection) -> None:
        connection.protocol.data_received(post())
        assert not connection.protocol.flow.read_paused
        while not connection.protocol.flow.read_paused:
            connection.protocol.data_received(post())
        assert len(connection.protocol._connection._behind) < 2 * short_path.HEAVY_BYTES
        service.waiting.pop()()
        await connection.send()
        assert not connection.protocol.flow.read_paused

    run(test, service, monkeypatch)


def test_a_request_that_uvicorn_answered_leaves_no_garbage_to_collect(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(connection: Connection) -> None:
        await connection.send(post(path="/v2/models/fake/predict"))
        before = weakref.ref(connection.protocol.cycle)
        await connection.send(post(path="/v2/models/fake/predict"))
        assert before() is None

    gc.disable()
    try:
        run(test, identity("FP32"), monkeypatch)
    finally:
        gc.enable()
