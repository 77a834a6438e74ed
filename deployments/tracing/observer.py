"""Samples requests for traces and for the access log, once, when a request arrives.

A request that is not sampled costs a call and an addition. Where neither is on there is no observer, and it costs a
branch.
"""

from typing import TYPE_CHECKING

from configs.schema import ModelConfig

from ..batching.batch_result import BatchResult
from ..log_format import access_log
from .observed import Observed, Write, batch_span
from .provider import Sampling, flush, sampling, tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Tracer

# Of a traceparent, VERSION-TRACE-SPAN-FLAGS.
_LENGTH, _FLAGS = 55, slice(53, 55)
_SAMPLED = 1


class Observer:
    """Satisfies request.ObserverProtocol, for one model. `write` takes a line of the access log."""

    def __init__(
        self, model: str, version: str, tracer: "Tracer | None", of_traces: Sampling, logged: float, write: Write
    ) -> None:
        self._labels = {"pitstop.model": model, "pitstop.version": version}
        self._tracer = tracer
        self._by_parent = of_traces.by_parent
        self._traced = _Share(of_traces.share if tracer is not None else 0)
        self._logged = _Share(logged)
        self._write = write

    def begin(self, name: str, traceparent: str | None, tracestate: str | None) -> Observed | None:
        """Return what observes a request of this route, or None if it is not sampled.

        A `traceparent` decides whether its request is traced; if there is none, the config's share does.
        """
        tracer = self._tracer
        if traceparent is not None and len(traceparent) >= _LENGTH and self._by_parent and tracer is not None:
            traced = _is_sampled(traceparent)
        else:
            traced = self._traced.next()
        logged = self._logged.next()
        if not traced and not logged:
            return None
        write = self._write if logged else None
        return Observed(name, self._labels, tracer if traced else None, traceparent, tracestate, write)

    def ran(self, ran: BatchResult) -> None:
        """Add the spans of a batch to the traces of its requests."""
        if self._tracer is not None:
            batch_span(self._tracer, self._labels, ran)

    async def flush(self) -> None:
        """Send the spans that still wait, within a second."""
        if self._tracer is not None:
            await flush(self._tracer)


class _Share:
    """Takes a share of what is asked, evenly."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._sum = 0.0

    def next(self) -> bool:
        self._sum += self._share
        if self._sum < 1:
            return False
        self._sum -= 1
        return True


def _is_sampled(traceparent: str) -> bool:
    try:
        return bool(int(traceparent[_FLAGS], 16) & _SAMPLED)
    except ValueError:
        return False


def open_observer(config: ModelConfig) -> Observer | None:
    """Return the observer of a model, or None where it has neither tracing nor an access log.

    Raises:
        ModelError: the exporter is not installed, or an OTEL variable cannot be read.
    """
    tracing, log = config.tracing, config.access_log
    found = None if tracing is None else tracer(tracing)
    if found is None and log is None:
        return None
    of_traces = Sampling(0, True) if tracing is None else sampling(tracing)
    return Observer(config.name, config.version, found, of_traces, 0 if log is None else log.sample, access_log())
