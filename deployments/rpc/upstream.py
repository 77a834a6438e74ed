"""Serve's HTTP port, as the front asks it: keep-alive connections, one request at a time on each.

Written for this, since it decides what the front costs: 0.35 ms of CPU time a call with this, 0.6 ms with gRPC's own
client (benchmarks/results/grpc_*.json, 16 at once).
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, cast

import httptools

Headers = Sequence[tuple[str, str]]
# HAProxy takes 4096 connections in all.
_MOST_CONNECTIONS = 1024


class Reply(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Upstream:
    """The connections to one address. A caller that is cancelled takes its connection along, and its request."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._idle: list[_Connection] = []
        self._places = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def get(self, path: str, headers: Headers = ()) -> Reply:
        return await self._ask(self._head("GET", path, headers), b"")

    async def post(self, path: str, headers: Headers, body: bytes) -> Reply:
        return await self._ask(self._head("POST", path, [*headers, ("content-length", str(len(body)))]), body)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()

    def _head(self, method: str, path: str, headers: Headers) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{method} {path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n{lines}\r\n".encode("latin-1")

    async def _ask(self, head: bytes, body: bytes) -> Reply:
        """Return the answer; raises ConnectionError or OSError where there is none."""
        async with self._places:
            while self._idle:
                connection = self._idle.pop()
                if connection.open:
                    try:
                        return await self._on(connection, head, body)
                    except _StaleError:  # It was closed while it was idle, before this request was read.
                        continue
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
            return await self._on(connection, head, body)

    async def _on(self, connection: "_Connection", head: bytes, body: bytes) -> Reply:
        try:
            reply = await connection.ask(head, body)
        except BaseException:
            connection.close()
            raise
        if connection.open:
            self._idle.append(connection)
        return reply


class _StaleError(ConnectionError):
    """A connection that had served before was closed without a byte in answer."""


class _Connection(asyncio.Protocol):
    """One connection; httptools calls its on_ methods."""

    def __init__(self) -> None:
        self.open = False
        self._served = 0
        self._answer: asyncio.Future[Reply] | None = None
        self._begun = False
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []

    def ask(self, head: bytes, body: bytes) -> asyncio.Future[Reply]:
        self._answer = asyncio.get_running_loop().create_future()
        self._begun, self._headers, self._body = False, {}, []
        self._parser = httptools.HttpResponseParser(self)
        # asyncio of Python 3.12 keeps an empty piece in its buffer for ever: it would never close, and spin meanwhile.
        self._transport.writelines((head, body) if body else (head,))
        return self._answer

    def close(self) -> None:
        self.open = False
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        self._begun = True
        if self._answer is None or self._answer.done():
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(ConnectionError("the answer is no HTTP"))
            self.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.open = False
        kind = _StaleError if self._served and not self._begun else ConnectionError
        self._fail(kind("closed before the answer was whole"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._served += 1
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._answer.set_result(Reply(self._parser.get_status_code(), self._headers, body))

    def _fail(self, error: ConnectionError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
