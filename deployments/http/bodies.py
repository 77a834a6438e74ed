"""Reads and writes bodies over ASGI: bounded, with gzip and deflate, one answer per request. Knows no tensors."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

import msgspec

from ..core.errors import Headers, TooLarge, UnsupportedEncoding
from .decompression import bytes_of, inflate

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
Given = dict[bytes, bytes]

# Above this, zlib and image decoding block the event loop for longer than a hop to a thread takes.
HEAVY_BYTES = 64 * 1024
_WORTH_COMPRESSING_BYTES = 1024
_GZIP, _ZLIB = 31, 15  # zlib's wbits


class Response(msgspec.Struct, frozen=True):
    """An answer. Only answers of inference are compressed: tritonclient's asyncio client inflates no others."""

    body: bytes
    status: int = 200
    content_type: bytes = b"application/json"
    headers: Headers = ()
    compress: bool = True


class Disconnected(Exception):  # noqa: N818  # An event, not an error: nothing is logged or counted.
    """The client disconnected while it was sending."""


async def read(headers: Given, receive: Receive, limit_mib: float) -> bytes:
    """Return the body, decompressed; it must not exceed the limit, compressed or not."""
    limit = bytes_of(limit_mib)
    encoding = _encoding(headers)
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
        raise TooLarge(limit_mib)
    body = await _collect(receive, limit, limit_mib)
    if encoding is None:
        return body
    if len(body) > _WORTH_COMPRESSING_BYTES:
        return await asyncio.to_thread(inflate, body, encoding, limit_mib)
    return inflate(body, encoding, limit_mib)


async def send_reply(send: Send, headers: Given, reply: Response, head: bool) -> None:
    """Send an answer, compressed if the client accepts that and the body is large enough."""
    if encoding := encoding_for(headers, reply):
        heavy = len(reply.body) > HEAVY_BYTES
        reply = await asyncio.to_thread(compressed, reply, encoding) if heavy else compressed(reply, encoding)
    body = reply.body
    start = [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(body)), *reply.headers]
    if reply.status == 304:  # A length would have to be that of the file that the client has already.
        del start[:2]
    await send({"type": "http.response.start", "status": reply.status, "headers": start})
    await send({"type": "http.response.body", "body": b"" if head else body})


def encoding_for(headers: Given, reply: Response) -> bytes | None:
    """Return gzip or deflate if the client accepts it and the body is large enough, else None."""
    accepted = headers.get(b"accept-encoding")
    if accepted is None or len(reply.body) <= _WORTH_COMPRESSING_BYTES or not reply.compress:
        return None
    return _choose(accepted)


def compressed(reply: Response, encoding: bytes) -> Response:
    stream = zlib.compressobj(1, zlib.DEFLATED, _GZIP if encoding == b"gzip" else _ZLIB)
    body = stream.compress(reply.body) + stream.flush()
    headers = (*reply.headers, (b"content-encoding", encoding), (b"vary", b"accept-encoding"))
    return msgspec.structs.replace(reply, body=body, headers=headers)


async def lifespan(receive: Receive, send: Send) -> None:
    """Confirm startup and shutdown: the replica has started before any server asks."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _collect(receive: Receive, limit: int, limit_mib: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(limit_mib)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _encoding(headers: Given) -> str | None:
    given = headers.get(b"content-encoding")
    if given is None:
        return None
    name = given.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedEncoding(name)
    return name.removeprefix("x-")


def _choose(accepted: bytes) -> bytes | None:
    """Return gzip or deflate, whichever the client prefers; None if it accepts neither."""
    weights: dict[bytes, float] = {}
    for part in accepted.lower().split(b","):
        name, *options = part.split(b";")
        weights[name.strip()] = _weight(options)
    rest = weights.get(b"*", 0.0)
    best = max((b"gzip", b"deflate"), key=lambda name: weights.get(name, rest))
    return best if weights.get(best, rest) > 0 else None


def _weight(options: list[bytes]) -> float:
    for option in options:
        name, _, value = option.partition(b"=")
        if name.strip() == b"q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
