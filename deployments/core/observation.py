"""How a transport and the batcher tell of a request that is observed.

It was sampled for a trace or for the access log (tracing/), or its client asks where the time went (Times).
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class ObservedProtocol(Protocol):
    """An observed request, in the order of its life; Times and tracing.observed.Observed are such."""

    def read(self, rows: int, request_id: str | None) -> None: ...

    def forward(self, waited_s: float, took_s: float) -> None: ...

    def answered(self) -> None: ...

    def failed(self, error: BaseException) -> None: ...

    def end(self, lost: bool = False) -> None: ...

    def parts(self) -> dict[str, float]: ...


class Times:
    """Where the time of one request goes, from its whole body to its answer; it takes note of nothing else."""

    def __init__(self) -> None:
        self.began_s = time.perf_counter()
        self._queue_s: float | None = None
        self._forward_s = 0.0

    def read(self, rows: int, request_id: str | None) -> None:
        """The request has been read, and waits from now on."""

    def forward(self, waited_s: float, took_s: float) -> None:
        """A forward with some of its rows has ended: how long they waited for it, and how long it took."""
        # A large request has several forwards. Its later ones wait while its first one runs.
        self._queue_s = waited_s if self._queue_s is None else min(self._queue_s, waited_s)
        self._forward_s += took_s

    def answered(self) -> None:
        """The answer is there, and is written from now on."""

    def failed(self, error: BaseException) -> None:
        """The request gets an error."""

    def end(self, lost: bool = False) -> None:
        """The answer was written, or the client has left; only the first call counts."""

    def parts(self) -> dict[str, float]:
        """Return the seconds by now: `queue`, `forward` and `rest`, if a forward ran here, and `total`."""
        total_s = time.perf_counter() - self.began_s
        if self._queue_s is None:
            return {"total": total_s}
        own = {"queue": self._queue_s, "forward": self._forward_s}
        return {**own, "rest": max(0.0, total_s - sum(own.values())), "total": total_s}


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
