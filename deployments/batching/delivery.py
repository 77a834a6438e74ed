"""Completes batches and hands their answers to the event loop, for every executor."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from models.runtime.batch import Batch

from .batch_result import BatchResult, finish_batch
from .memory_limit import MemoryLimit
from .queue import Part
from .runner_protocol import RunnerProtocol

Done = Callable[[BatchResult], None]


class Delivery:
    """Completes and delivers the batches of one runner; only one thread at a time may complete them."""

    def __init__(self, runner: RunnerProtocol, memory_limit: MemoryLimit, loop: asyncio.AbstractEventLoop) -> None:
        self._runner = runner
        self._memory_limit = memory_limit
        self._loop = loop
        self._done: Done = _nobody
        self._free_since_s = 0.0

    def listen(self, done: Done) -> None:
        """Hand what ran to `done`, on the event loop."""
        self._done = done

    def complete(self, parts: list[Part], launched: Callable[[], Batch]) -> BatchResult:
        """Return the answers of a batch; `launched` returns it, or raises the error of its staging or launch."""
        try:
            ran = finish_batch(self._runner, parts, launched, self._free_since_s, self._memory_limit)
        except Exception as error:
            return _broken(error)
        self._free_since_s = ran.ended_s
        return ran

    def deliver(self, ran: BatchResult) -> None:
        """Hand over what ran, from one of the device's threads."""
        with suppress(RuntimeError):  # The loop is closed: this replica stops.
            self._loop.call_soon_threadsafe(self._done, ran)

    def deliver_here(self, ran: BatchResult) -> None:
        """Hand over what ran, from the event loop itself."""
        self._done(ran)

    def broken(self, error: Exception) -> None:
        """Report an error of the device's threads themselves: after it nothing that waits is answered."""
        self.deliver(_broken(error))


def _broken(error: Exception) -> BatchResult:
    return BatchResult([], 0, (0, ()), broken=error)


def _nobody(_: BatchResult) -> None:
    """Nothing runs before `listen`."""
