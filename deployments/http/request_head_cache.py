"""Parses the heads of requests for the short path, with uvicorn's parser, and caches them.

A client sends the same head again and again; a head seen before costs a dict lookup. None stands for a request that the
short path leaves to uvicorn: other paths, chunked or compressed bodies, `Expect`, `Connection: close`, HTTP/1.0, and
requests that ask for their times (server_timing.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import httptools

from ..core.request import Service
from ..protocol.headers import TIMING
from .bodies import Given
from .server_protocol import usable

_MOST_HEADS = 1024
_MOST_BYTES = 2048
_MOST_DIGITS = 15
_NOT_HERE = frozenset((b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", TIMING))


class Endpoint(NamedTuple):
    """The model of a path to /infer, and the version that the path names, if any."""

    service: Service
    version: str = ""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A POST to a model's /infer, whose body has `length` bytes."""

    service: Service
    version: str
    headers: Given
    length: int


class RequestHeadCache:
    """The heads seen by one server."""

    def __init__(self, endpoints: Mapping[bytes, Endpoint]) -> None:
        self._endpoints = endpoints
        self._seen: dict[bytes, RequestHead] = {}

    def read(self, raw: bytes) -> RequestHead | None:
        """Return the head in these bytes, which end with the empty line; None if it is not for the short path."""
        head = self._seen.get(raw)
        if head is not None:
            return head
        head = self._parse(raw) if raw.startswith(b"POST ") else None
        if head is not None and len(raw) <= _MOST_BYTES:
            if len(self._seen) >= _MOST_HEADS:
                self._seen.clear()
            self._seen[raw] = head
        return head

    def _parse(self, raw: bytes) -> RequestHead | None:
        collector = _Collector()
        parser = httptools.HttpRequestParser(collector)
        try:
            parser.feed_data(raw)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        headers = dict(collector.headers)
        endpoint = self._endpoints.get(collector.url)
        length = headers.get(b"content-length", b"")
        usual = (
            collector.complete
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and len(headers) == len(collector.headers)
            and _NOT_HERE.isdisjoint(headers)
            and length.isdigit()
            and len(length) <= _MOST_DIGITS
        )
        return RequestHead(*endpoint, headers, int(length)) if usual and endpoint is not None else None


class _Collector:
    """Collects what httptools parses."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if usable(name, value):
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True
