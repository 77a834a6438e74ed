"""A request as it goes over the wire."""

from collections.abc import Iterable

Headers = Iterable[tuple[str, str]]


def head(method: str, path: str, host: str, headers: Headers) -> bytes:
    """Return the bytes before the body; `host` includes its port."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n".encode("latin-1")


def post_head(path: str, host: str, headers: Headers, length: int) -> bytes:
    """Return the bytes before a POST's body of `length` bytes."""
    return head("POST", path, host, [*headers, ("content-length", str(length))])


def post(path: str, host: str, headers: Headers, body: bytes) -> bytes:
    """Return a whole POST, which may be sent any number of times."""
    return post_head(path, host, headers, len(body)) + body
