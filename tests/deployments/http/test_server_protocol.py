"""uvicorn's protocol as the project changes it, on real sockets: what reaches a client, whatever it sends."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
import uvicorn
import uvicorn.config
import uvloop
from uvicorn.server import ServerState

from configs.schema import Tunables
from deployments.http import lingering_close, short_path
from deployments.http.bodies import ASGIApp
from deployments.http.request_head_cache import Endpoint
from deployments.http.rest import build
from deployments.http.server_protocol import ServerProtocol, install
from tests.deployments.fake_service import FakeService, identity
from tests.deployments.http.test_short_path import BODY, Counter, post

MIB = 1024 * 1024
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
WEBSOCKET = {"connection": "Upgrade", "upgrade": "websocket", "sec_websocket_key": "x", "sec_websocket_version": "13"}
H2C = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABkAAQAAP__"}


class Server:
    """A server of one model, in a thread; what is left to uvicorn is answered by the model's own application."""

    def __init__(self, service: FakeService, short: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.counter = Counter()
        self.state = ServerState()
        self._kind = short_path.protocol(self.counter) if short else ServerProtocol  # type: ignore[arg-type]
        self._app = build(service)
        self._loop = loop
        self._server: Any = loop.run_until_complete(self._start())
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _start(self) -> Any:
        config = uvicorn.Config(_function(self._app), log_config=None, lifespan="off", access_log=False)
        config.load()
        made = lambda: self._kind(config=config, server_state=self.state, app_state={})  # noqa: E731
        return await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)

    def exchange(self, *sent: bytes) -> bytes:
        """Send all of it before anything is read, and return what comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as sock:
            for piece in sent:
                sock.sendall(piece)
            found = b""
            while piece := sock.recv(65536):
                found += piece
            return found

    def wait_until_all_have_left(self) -> None:
        async def left() -> None:
            while self.state.connections:
                await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(left(), self._loop).result(20)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named, encode_chunked="transfer_encoding" in headers)
        answer = connection.getresponse()
        return answer.status, orjson.loads(answer.read())


def _function(app: ASGIApp) -> Any:
    async def called(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return called


@contextmanager
def serving(service: FakeService, loop: str, short: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(short_path, "_offered", {b"/v2/models/fake/infer": Endpoint(service)})
    found = LOOPS[loop]()
    server = Server(service, short, found)
    thread = threading.Thread(target=found.run_forever)
    thread.start()
    try:
        yield server
    finally:
        found.call_soon_threadsafe(found.stop)
        thread.join()
        found.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["short path", "uvicorn"])
def server(request: pytest.FixtureRequest, loop: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    service = identity("FP32")
    service.tunables = Tunables(max_body_mib=1)
    with serving(service, loop, request.param, monkeypatch) as found:
        yield found


def chunked(size: int) -> Iterator[bytes]:
    for _ in range(size // MIB):
        yield bytes(MIB)


@pytest.mark.parametrize("headers", [{}, {"connection": "close"}, {"transfer_encoding": "chunked"}])
@pytest.mark.parametrize(
    "method, path, status",
    [("POST", "/infer", 413), ("POST", "/predict", 413), ("POST", "/nothing", 404), ("PUT", "/infer", 405)],
)
def test_an_answer_reaches_a_client_that_sends_all_of_its_body_first(
    server: Server, method: str, path: str, status: int, headers: dict[str, str]
) -> None:
    body = chunked(32 * MIB) if headers.get("transfer_encoding") else bytes(32 * MIB)
    found, said = server.ask(method, f"/v2/models/fake{path}", body, **headers)
    assert (found, list(said)) == (status, ["error"])


def test_the_client_sees_the_end_of_the_answer_at_once_and_may_send_on(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        sock.sendall(post(bytes(4 * MIB))[:200])
        found = b""
        while piece := sock.recv(65536):  # Ends, though half of the request is missing.
            found += piece
        assert found.startswith(b"HTTP/1.1 413 ")
        sock.sendall(bytes(MIB))


@pytest.mark.parametrize("bound, value", [("LINGER_BYTES", MIB), ("LINGER_S", 0.05)], ids=["bytes", "time"])
def test_what_is_read_for_nobody_is_bounded(
    server: Server, bound: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering_close, bound, value)
    endless = post(bytes(2 * MIB)).replace(b"content-length: 2097152", b"content-length: 999999999999")
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address, timeout=20) as sock, pytest.raises(ConnectionError):
        pour(sock, endless)
    assert server.ask("GET", "/v2/models/fake")[0] == 200


def pour(sock: socket.socket, first: bytes) -> None:
    """Send without end; any piece may be the one that passes the bound, the first too."""
    sock.sendall(first)
    while True:
        sock.sendall(bytes(MIB))


def test_a_lingering_connection_is_off_the_books_when_the_client_has_left(server: Server) -> None:
    server.exchange(post(bytes(4 * MIB))[: 2 * MIB])
    assert server.ask("GET", "/v2/models/fake", connection="close")[0] == 200
    server.wait_until_all_have_left()
    assert server.counter.ongoing == 0


@pytest.mark.parametrize("upgrade", [WEBSOCKET, H2C], ids=["websocket", "h2c"])
def test_a_request_that_asks_for_another_protocol_is_answered_as_without(
    server: Server, upgrade: dict[str, str]
) -> None:
    assert server.ask("POST", "/v2/models/fake/infer", BODY, **upgrade)[1]["outputs"][0]["data"] == [1.5]
    assert server.ask("GET", "/v2/models/fake", **upgrade) == server.ask("GET", "/v2/models/fake")
    assert server.ask("POST", "/v2/models/fake/predict", b"{", **upgrade)[0] == 400


def test_requests_behind_an_upgrade_are_answered_too(server: Server) -> None:
    path = "/v2/models/fake/infer"
    found = server.exchange(post(BODY, path, **WEBSOCKET) + post(BODY, path, **H2C) + post(connection="close"))
    assert found.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize("value", [b"\xe9", b"\xff\xfe", "é".encode()])
def test_a_request_id_outside_ascii_is_as_none(server: Server, value: bytes) -> None:
    sent = post(x_request_id="VALUE").replace(b"VALUE", value)
    found = server.exchange(sent, post(connection="close"))
    assert found.count(b"HTTP/1.1 200 OK") == 2
    assert b"x-request-id" not in found


@pytest.mark.parametrize("name", [b"x-request-id", b"traceparent", b"x-request-timeout-s", b"user-agent"])
@pytest.mark.parametrize("value", [b"\xe9", b"\xff"])
def test_no_value_is_handed_on_that_serve_could_not_decode(name: bytes, value: bytes) -> None:
    seen = headers_seen(b"%b: %b\r\nx-other: a" % (name, value))
    assert name not in seen
    assert seen[b"x-other"] == b"a"


@pytest.mark.parametrize("name", [b"authorization", b"content-encoding", b"inference-header-content-length"])
def test_what_is_judged_here_is_judged_as_it_came(name: bytes) -> None:
    assert headers_seen(b"%b: \xe9" % name)[name] == b"\xe9"


def test_trailers_do_not_become_headers() -> None:
    assert b"x-late" not in headers_seen(b"transfer-encoding: chunked", b"0\r\nx-late: a\r\n\r\n")


@pytest.mark.parametrize("lines", [b"x: " + b"y" * 600_000, b"x: y\r\n" * 100_000], ids=["one", "many"])
def test_a_head_is_bounded(server: Server, lines: bytes) -> None:
    found = server.exchange(b"GET /v2/models/fake HTTP/1.1\r\n", lines)
    assert found.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert "head is too long" in orjson.loads(found.partition(b"\r\n\r\n")[2])["error"]


def test_the_bound_of_a_head_counts_no_body_before_it(server: Server) -> None:
    sent = post(bytes(MIB), path="/v2/models/fake/predict") + post(connection="close")
    found = server.exchange(*(sent[at : at + 200_000] for at in range(0, len(sent), 200_000)))
    assert [found.count(b"HTTP/1.1 %d " % status) for status in (400, 200)] == [1, 1]


@pytest.mark.parametrize(
    "sent, status, sentence",
    [
        (b"\0\0\0\r\n\r\n", b"400 Bad Request", "this is not HTTP"),
        (b"GET / HTTP/9\r\n\r\n", b"400 Bad Request", "this is not HTTP"),
        (b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n", b"400 Bad Request", "this is not HTTP"),
        (b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", b"405 Method Not Allowed", "CONNECT is for proxies"),
    ],
)
def test_what_is_no_request_is_told_in_json(server: Server, sent: bytes, status: bytes, sentence: str) -> None:
    found = server.exchange(sent + bytes(4 * MIB))
    assert found.startswith(b"HTTP/1.1 %b\r\n" % status)
    assert sentence in orjson.loads(found.partition(b"\r\n\r\n")[2])["error"]


def test_every_server_that_a_process_starts_from_then_on_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.config, "HTTP_PROTOCOLS", dict(uvicorn.config.HTTP_PROTOCOLS))
    install()
    config = uvicorn.Config(_function(build(identity("FP32"))), log_config=None)
    config.load()
    assert config.http_protocol_class is ServerProtocol


def headers_seen(lines: bytes, body: bytes = b"") -> dict[bytes, bytes]:
    """Return what an application gets of a request with these header lines."""
    seen: dict[bytes, bytes] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        seen.update(scope["headers"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def main() -> None:
        config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False)
        config.load()
        made = lambda: ServerProtocol(config=config, server_state=ServerState(), app_state={})  # noqa: E731
        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(b"POST /x HTTP/1.1\r\nhost: x\r\n" + lines + b"\r\nconnection: close\r\n\r\n" + body)
        await reader.read()
        writer.close()
        server.close()

    asyncio.run(main())
    return seen
