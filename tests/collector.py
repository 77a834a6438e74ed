"""A collector of traces in the test's process: takes OTLP over HTTP, and keeps every span."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span(NamedTuple):
    """What is asked of a span; ids are in hex, `links` are (trace, span)."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, Any]
    start_ns: int
    end_ns: int
    failed: bool


class Collector:
    """The spans that came so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []
        self._changed = threading.Condition()

    def take(self, body: bytes) -> None:
        found = [*_spans(ExportTraceServiceRequest.FromString(body))]
        with self._changed:
            self.spans += found
            self._changed.notify_all()

    def trace(self, trace: str, names: set[str], within_s: float = 60) -> dict[str, Span]:
        """Wait until a trace has spans of these names, and return its spans by name."""
        with self._changed:
            assert self._changed.wait_for(lambda: names <= self._of(trace).keys(), within_s), self.spans
            return self._of(trace)

    def batch_of(self, span: Span, within_s: float = 60) -> Span:
        """Wait for the span that a request's forward links to."""
        [(trace, _)] = span.links
        return self.trace(trace, {"batch"}, within_s)["batch"]

    def _of(self, trace: str) -> dict[str, Span]:
        return {each.name: each for each in self.spans if each.trace == trace}


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            found.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # The base class names it so.
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = next(each.value.string_value for each in resource.resource.attributes if each.key == "service.name")
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield Span(
                service,
                span.name,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                span.status.code == 2,
            )
