"""A sampled request: its spans, made when it ends of the times that were noted, and its line in the access log.

Its root span is begun when it arrives, since other spans need its id; all others are made afterwards. The collector
gets no payload: no tensor, no token, no text of an error.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..batching.batch_result import BatchResult
from ..core.errors import ServeError
from ..core.observation import Times

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

Write = Callable[[dict[str, Any]], None]
Labels = Mapping[str, str]
_LOST = "disconnected"
_LONGEST_ID = 128


class Observed(Times):
    """A sampled request. `root` is its span, None if it is only logged."""

    def __init__(
        self,
        name: str,
        labels: Labels,
        tracer: "Tracer | None",
        traceparent: str | None,
        tracestate: str | None,
        write: Write | None,
    ) -> None:
        super().__init__()
        self._name, self._labels, self._tracer, self._write = name, labels, tracer, write
        self._answered_s = 0.0
        self._rows = 0
        self._id: str | None = None
        self._status, self._kind = 200, ""
        self._ended = False
        self.root = None if tracer is None else _root(tracer, name, labels, traceparent, tracestate, self.began_s)

    def read(self, rows: int, request_id: str | None) -> None:
        self._rows, self._id = rows, request_id and request_id[:_LONGEST_ID]
        self.span("read", self.began_s, time.perf_counter())

    def answered(self) -> None:
        self._answered_s = time.perf_counter()

    def failed(self, error: BaseException) -> None:
        known = error if isinstance(error, ServeError) else ServeError
        self._status, self._kind = known.status, known.kind

    def end(self, lost: bool = False) -> None:
        if self._ended:
            return
        self._ended = True
        now = time.perf_counter()
        if lost:
            self._status, self._kind = 499, _LOST
        if self._answered_s and not lost:
            self.span("write", self._answered_s, now)
        if self.root is not None:
            self._end_root(self.root, now)
        if self._write is not None:
            self._log(self._write, now)

    def span(self, name: str, began_s: float, ended_s: float, **more: Any) -> None:
        """Make a span below the request's, between two times of time.perf_counter; `more` is for start_span."""
        if self._tracer is None or self.root is None:
            return
        from opentelemetry.trace import set_span_in_context

        within = set_span_in_context(self.root)
        attributes = {**self._labels, **more.pop("attributes", {})}
        span = self._tracer.start_span(name, within, attributes=attributes, start_time=_ns(began_s), **more)
        span.end(_ns(ended_s))

    def _end_root(self, root: "Span", now: float) -> None:
        from opentelemetry.trace import StatusCode

        root.set_attribute("pitstop.rows", self._rows)
        root.set_attribute("http.response.status_code", self._status)
        if self._id is not None:
            root.set_attribute("pitstop.request_id", self._id)
        if self._kind:
            root.set_attribute("error.type", self._kind)
            root.set_status(StatusCode.ERROR)
        root.end(_ns(now))

    def _log(self, write: Write, now: float) -> None:
        line = {
            "time": round(time.time(), 3),
            "model": self._labels["pitstop.model"],
            "version": self._labels["pitstop.version"],
            "route": self._name,
            "rows": self._rows,
            "status": self._status,
            "ms": round(1000 * (now - self.began_s), 3),
        }
        if self._kind:
            line["error"] = self._kind
        if self._id is not None:
            line["id"] = self._id
        if self.root is not None:
            line["trace"] = f"{self.root.get_span_context().trace_id:032x}"
        write(line)


def batch_span(tracer: "Tracer", labels: Labels, ran: BatchResult) -> None:
    """Make the span of a forward, which links to its requests, and `queue` and `forward` in the trace of each."""
    seen = [(part, each) for part, _ in ran.answers if isinstance(each := part.item.observed, Observed) and each.root]
    if not seen:
        return
    from opentelemetry.context import Context
    from opentelemetry.trace import Link

    launched_s = ran.ended_s - ran.forward_s
    size = {"pitstop.batch.rows": ran.rows, "pitstop.batch.requests": len({id(part.item) for part, _ in ran.answers})}
    size["pitstop.batch.size"] = ran.shape[0]
    links = [Link(each.root.get_span_context()) for _, each in seen if each.root is not None]
    batch = tracer.start_span(
        "batch", Context(), attributes={**labels, **size}, links=links, start_time=_ns(launched_s)
    )
    to_batch = [Link(batch.get_span_context())]
    for part, each in seen:
        if part.start == 0:
            each.span("queue", part.item.arrived_s, launched_s)
        each.span("forward", launched_s, ran.ended_s, attributes=size, links=to_batch)
    batch.end(_ns(ran.ended_s))


def _root(
    tracer: "Tracer", name: str, labels: Labels, traceparent: str | None, tracestate: str | None, began_s: float
) -> "Span":
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    given = {"traceparent": traceparent, "tracestate": tracestate}
    carrier = {key: value for key, value in given.items() if value is not None}
    parent: Context = TraceContextTextMapPropagator().extract(carrier, Context())
    return tracer.start_span(name, parent, SpanKind.SERVER, dict(labels), start_time=_ns(began_s))


def _ns(at_s: float) -> int:
    """Return a time of time.perf_counter as nanoseconds since 1970."""
    return time.time_ns() + int((at_s - time.perf_counter()) * 1e9)
