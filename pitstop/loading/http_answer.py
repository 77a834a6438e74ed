"""Just enough HTTP/1.1 to know an answer's status and where it ends.

By hand, because a parser costs more than the rest of the client, which often shares its machine with the server.
"""

_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class Answer:
    """Takes an answer in pieces; the body is counted, and dropped unless it is to be looked at.

    `plain` says that the body is text, which no server of the Open Inference Protocol sends: a proxy made it.
    """

    __slots__ = ("_chunked", "_head", "_kept", "_left", "_tail", "closes", "plain", "retry_after_s", "status")

    def __init__(self, keep: bool = False) -> None:
        self._kept: list[bytes] | None = [] if keep else None
        self._head = b""
        self._left = 0
        self._tail = b""
        self._chunked = False
        self.status = 0
        self.closes = False
        self.plain = False
        self.retry_after_s: float | None = None

    @property
    def body(self) -> bytes:
        """The body, where it was kept."""
        whole = b"".join(self._kept or ())
        return joined(whole) if self._chunked else whole

    def feed(self, data: bytes) -> bool:
        """Take the next piece; return whether the answer is whole.

        Raises:
            ValueError: this is not HTTP/1.1.
        """
        if self.status:
            return self._body(data)
        data = self._head + data
        end = data.find(_END)
        if end < 0:
            self._head = data
            return False
        self._read_head(data[:end].lower())
        # 1xx answers come ahead of the real one.
        if self.status < 200:
            self.__init__(self._kept is not None)  # type: ignore[misc]
            return self.feed(data[end + 4 :]) if len(data) > end + 4 else False
        return self._body(data[end + 4 :])

    def _read_head(self, head: bytes) -> None:
        if not head.startswith(b"http/1."):
            raise ValueError("not HTTP/1.1")
        self.status = int(head[9:12])
        length = _value(head, b"content-length")
        self._chunked = b"chunked" in (_value(head, b"transfer-encoding") or b"")
        self._left = int(length) if length else 0
        self.plain = (_value(head, b"content-type") or b"").startswith(b"text/")
        self.closes = _value(head, b"connection") == b"close" or head.startswith(b"http/1.0")
        wait = _value(head, b"retry-after")
        self.retry_after_s = float(wait) if wait is not None and wait.isdigit() else None

    def _body(self, data: bytes) -> bool:
        if self._kept is not None:
            self._kept.append(data)
        if self._chunked:
            self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
            return self._tail == _LAST_CHUNK
        self._left -= len(data)
        return self._left <= 0


def joined(body: bytes) -> bytes:
    """Return a chunked body without its chunks' lengths."""
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        parts.append(rest[:length])
        body = rest[length + 2 :] if length else b""
    return b"".join(parts)


def _value(head: bytes, name: bytes) -> bytes | None:
    """Return a header's value from a head in lower case."""
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    stop = head.find(b"\r\n", start)
    return head[start : stop if stop >= 0 else None].strip()
