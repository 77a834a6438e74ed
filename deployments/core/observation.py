"""How a transport tells of a request that was sampled for a trace or for the access log; tracing/ is what listens."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class ObservedProtocol(Protocol):
    """A sampled request, in the order of its life; tracing.observed.Observed is one."""

    def read(self, rows: int, request_id: str | None) -> None: ...

    def answered(self) -> None: ...

    def failed(self, error: BaseException) -> None: ...

    def end(self, lost: bool = False) -> None: ...


class ObserverProtocol(Protocol):
    """What samples requests; tracing.observer.Observer is one."""

    def begin(self, name: str, traceparent: str | None, tracestate: str | None) -> ObservedProtocol | None: ...


@contextmanager
def observing(observed: ObservedProtocol | None) -> Iterator[ObservedProtocol | None]:
    """End what observes a request with the block, as failed where an exception leaves it."""
    try:
        yield observed
    except BaseException as error:
        if observed is not None:
            observed.failed(error)
            observed.end(lost=isinstance(error, asyncio.CancelledError))
        raise
    if observed is not None:
        observed.end()
