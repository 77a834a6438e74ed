"""An HTTP/1.1 answer, read from bytes as they come: no socket, no clock. The parser is httptools'.

`pitstop load` looks only at the status of most answers. A lazy reader only finds where each answer ends; it parses the
headers and the body when they are first used.
"""

import httptools


class Reply:
    """An answer. The names of its headers are in lower case."""

    __slots__ = ("_data", "_parts", "status")

    def __init__(self, status: int, data: list[bytes], parts: "_Parts | None") -> None:
        self.status = status
        self._data = data
        self._parts = parts

    @property
    def headers(self) -> dict[bytes, bytes]:
        return self._read().headers

    @property
    def body(self) -> bytes:
        pieces = self._read().body
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self) -> "_Parts":
        if self._parts is None:
            self._parts = _parts_of(self._data)
        return self._parts


class ReplyReader:
    """Reads the answers of one connection, one at a time. httptools calls the on_ methods that it finds.

    `keep_alive` says after an answer whether the connection takes another request.
    """

    __slots__ = (
        *("_data", "_lazy", "_parser", "_parts", "_reply", "_surplus", "keep_alive"),
        *("on_body", "on_header", "on_headers_complete"),
    )

    def __init__(self, lazy: bool = False) -> None:
        self._lazy = lazy
        self._data: list[bytes] = []
        self._parts = _Parts()
        self._reply: Reply | None = None
        self._surplus = False
        self.keep_alive = True
        if not lazy:
            self.on_header, self.on_body = self._take_header, self._take_body
            self.on_headers_complete = self._take_head
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> Reply | None:
        """Take bytes that have come; return the answer once it is complete.

        Raises:
            ValueError: this is not HTTP/1.1, or more than one answer.
        """
        if self._lazy:
            self._data.append(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ValueError("the answer is not HTTP/1.1") from error
        if self._surplus:
            raise ValueError("there is more than one answer")
        reply, self._reply = self._reply, None
        return reply

    def end(self) -> Reply | None:
        """The connection has closed: return the answer, if it is one without a length, which ends so."""
        parts = _parts_of(self._data) if self._lazy else self._parts
        if not parts.has_head or b"content-length" in parts.headers or b"transfer-encoding" in parts.headers:
            return None
        return Reply(self._parser.get_status_code(), [], parts)

    def on_message_begin(self) -> None:
        self._surplus = self._reply is not None

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        # A 1xx answer comes before the final one.
        if status >= 200:
            self._reply = Reply(status, self._data, None if self._lazy else self._parts)
            self._data = []
            self.keep_alive = self._parser.should_keep_alive()
        if not self._lazy:
            self._parts = _Parts()

    def _take_header(self, name: bytes, value: bytes) -> None:
        self._parts.headers[name.lower()] = value

    def _take_head(self) -> None:
        self._parts.has_head = True

    def _take_body(self, body: bytes) -> None:
        self._parts.body.append(body)


class _Parts:
    """The headers and the body of an answer; the body in pieces."""

    __slots__ = ("body", "has_head", "headers")

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body: list[bytes] = []
        self.has_head = False

    def on_message_begin(self) -> None:
        # Discard a 1xx answer that came first.
        self.headers, self.body, self.has_head = {}, [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        self.body.append(body)


def _parts_of(data: list[bytes]) -> _Parts:
    parts = _Parts()
    parser = httptools.HttpResponseParser(parts)
    for piece in data:
        parser.feed_data(piece)
    return parts
