"""uvicorn's protocol for the servers of Serve in this process, changed where uvicorn or Serve would answer wrongly.

`Upgrade` is ignored: uvicorn would hand the connection to `websockets`, which never answers a POST. Header values that
Serve cannot decode are left out: Serve would answer them with 500. An answer that comes before the body was read closes
the connection (lingering_close.py). A head has a bound.

Serve builds its servers itself and has no setting for any of this, so `install` puts this class where uvicorn looks up
its protocols.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
import orjson

from ..protocol.headers import LENGTH, REQUEST_ID
from ..ray_compat.uvicorn_protocol import HttpToolsProtocol, RequestResponseCycle, set_protocol
from .lingering_close import linger

# Twice the size of a read, since a read that has the beginning of a head is counted whole. HAProxy takes 16 KiB.
_MOST_HEAD_BYTES = 512 * 1024
# We read these as bytes, and say what is wrong with them.
_READ_AS_BYTES = frozenset((b"authorization", b"content-type", b"content-encoding", b"accept-encoding", LENGTH))


def install() -> None:
    """Make every later uvicorn server of this process use the class below."""
    set_protocol(f"{__name__}:{ServerProtocol.__name__}")


def usable(name: bytes, value: bytes) -> bool:
    """Return whether a header can be passed on; `name` is in lower case.

    Serve decodes the headers that it reads as UTF-8, and sends a request id back as latin-1.
    """
    if value.isascii() or name in _READ_AS_BYTES:
        return True
    if name == REQUEST_ID:
        return False
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


class ServerProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open = False  # In the middle of a request.
        self._in_head = False
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data and self.parser is not None:
            try:
                self.parser.feed_data(data)
                self._bound_head(len(data))
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade(data[upgrade.args[0] :])
            except httptools.HttpParserError:
                self.send_400_response("this is not HTTP, or its framing is wrong")
                return

    def on_message_begin(self) -> None:
        self._open = self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head and usable(name.lower(), value):  # The rest are trailers, which nobody reads.
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.cycle.__class__ = _Cycle  # uvicorn has no other place to say which class it is.
            self.cycle.transport = _Transport(self)  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        self._open = False
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        """Whether uvicorn leaves a request with `Upgrade` alone: always, since `_without_upgrade` handles it."""
        return True

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def close_after_answer(self) -> None:
        """Close the connection; if the client still sends, without losing the answer."""
        if self._unread:
            linger(self)
        else:
            self.transport.close()

    @property
    def _unread(self) -> bool:
        """Whether more of a request is to come."""
        return self._open

    def _without_upgrade(self, rest: bytes) -> bytes:
        """Return a request again without its `Upgrade`: with it the parser takes the request to have no body."""
        if self.scope["method"] == "CONNECT":
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "CONNECT is for proxies, and this is none")
            return b""
        self.parser = httptools.HttpRequestParser(self)
        start = f"{self.scope['method']} ".encode() + self.url + f" HTTP/{self.scope['http_version']}\r\n".encode()
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join((start, *lines, b"\r\n", rest))

    def _bound_head(self, more: int) -> None:
        if self._in_head:
            self._head_bytes += more
            if self._head_bytes > _MOST_HEAD_BYTES:
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self._refuse(status, "the request's head is too long: send fewer or shorter headers")

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answer bytes that are no request, and close."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # Whatever it would still answer has nowhere to go.
            self.cycle.message_event.set()
        body = orjson.dumps({"error": sentence})
        head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status.value, status.phrase.encode(), len(body)) + body)
        linger(self)


class _Cycle(RequestResponseCycle):
    """A request under way. An answer that comes before the body was read announces `Connection: close`."""

    async def send(self, message: Any) -> None:
        if self.more_body and not self.response_started:
            self.keep_alive = False
        await super().send(message)


class _Transport:
    """What a cycle needs of a transport."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, protocol: ServerProtocol) -> None:
        transport: asyncio.Transport = protocol.transport
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = protocol.close_after_answer
