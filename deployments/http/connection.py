"""A connection of the short path as a state machine: bytes in, requests out; replies in, bytes out, in order.

No I/O and no clock. At most one request is under way; later bytes wait. A request that is not for the short path
(request_head_cache.py) comes out as its bytes.
"""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from ..auth.authenticator import AUTHORIZATION
from ..core.errors import ServeError, TooLarge
from ..protocol.headers import REQUEST_ID
from .bodies import HEAVY_BYTES, Response
from .decompression import bytes_of
from .request_head_cache import RequestHead, RequestHeadCache

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_NONE = b""


class Received(msgspec.Struct, frozen=True, eq=False):
    """A request to answer: its whole body, or the error that refuses it."""

    head: RequestHead
    body: bytes
    refusal: ServeError | None


class Connection:
    """`head` is the head of the request under way, `missing` how many bytes of its body are still to come."""

    def __init__(self, heads: RequestHeadCache) -> None:
        self._heads = heads
        self.head: RequestHead | None = None
        self.missing = 0
        self.closing = False
        self._refusal: ServeError | None = None
        self._chunks: list[bytes] = []
        self._behind = _NONE
        self._default_headers: Sequence[tuple[bytes, bytes]] = ()
        self._default_lines = _NONE

    def receive(self, data: bytes) -> Received | bytes | None:
        """Return a request to answer, the bytes that are not for the short path, or None while more is to come."""
        if self.head is None and not self._behind:
            return self._begin(data)
        if self.head is None or not self.missing:
            self._behind += data
            return None
        mine, self._behind = data[: self.missing], data[self.missing :]
        if self._refusal is None:  # Else the body is read and dropped.
            self._chunks.append(mine)
        self.missing -= len(mine)
        if self.missing:
            return None
        chunks, self._chunks = self._chunks, []
        return Received(self.head, b"".join(chunks), self._refusal)

    def resume(self) -> Received | bytes | None:
        """After an answer, go on with the bytes that came before it."""
        data, self._behind = self._behind, _NONE
        return self._begin(data)

    def reply(self, reply: Response, default_headers: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
        """Return the bytes of the answer, and end the request under way."""
        head = self.head
        assert head is not None
        if default_headers is not self._default_headers:  # uvicorn makes them anew once a second.
            self._default_headers, self._default_lines = default_headers, _lines(default_headers)
        lines = self._default_lines
        if reply.headers:
            lines += _lines(reply.headers)
        if (request_id := head.headers.get(REQUEST_ID)) is not None:
            lines += b"x-request-id: %b\r\n" % request_id
        if self.closing:
            lines += b"connection: close\r\n"
        self.head = None
        return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            reply.status,
            _REASONS[reply.status],
            reply.content_type,
            len(reply.body),
            lines,
            reply.body,
        )

    def abandon(self) -> None:
        """Forget the request under way: its client has disconnected."""
        self.head = None

    def close(self) -> None:
        """Let the next answer be the last one."""
        self.closing = True

    @property
    def has_more(self) -> bool:
        """Whether more bytes wait after the request."""
        return bool(self._behind)

    @property
    def is_full(self) -> bool:
        """Whether so many bytes wait that no more should be read."""
        return len(self._behind) > HEAVY_BYTES

    def _begin(self, data: bytes) -> Received | bytes | None:
        start = data.find(b"\r\n\r\n") + 4
        head = self._heads.read(data[:start]) if start > 3 else None
        if head is None:
            return data
        self.head = head
        authenticator = head.service.authenticator
        self._refusal = None if authenticator is None else authenticator.refusal(head.headers.get(AUTHORIZATION))
        limit_mib = head.service.tunables.max_body_mib
        end = start + head.length
        if head.length > bytes_of(limit_mib):
            self.closing = True  # The body will not be read.
            self.missing = max(0, end - len(data))
            return Received(head, _NONE, self._refusal or TooLarge(limit_mib))
        if len(data) >= end:
            self._behind = data[end:]
            return Received(head, data[start:end], self._refusal)
        self.missing = end - len(data)
        self._chunks = [] if self._refusal is not None else [data[start:]]
        return None


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
