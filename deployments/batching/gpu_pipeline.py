"""The next batch is collated and copied while one runs, and launched behind it.

The feeder's thread stages a batch as soon as it is full; one that is not full waits for more rows until the device is
free. The device's thread launches the staged batch, and then finishes the one launched before it.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from models.runtime.batch import Batch

from .delivery import Delivery
from .device_thread import DeviceThread
from .queue import Item, Part
from .runner_protocol import RunnerProtocol, stage
from .shared_queue import SharedQueue

T = TypeVar("T")

# Each call into torch or numpy releases the interpreter's lock, and must wait for it again while the event loop is
# busy: up to Python's default of 5 ms, for each of a batch's dozens of calls, which is long beside a GPU's forward. On
# two CPU cores a lower value gained nothing.
_SWITCH_S = 0.0001


class _Ahead(NamedTuple):
    """A staged or launched batch, or the error of its staging or launch, which is raised when it is finished."""

    parts: list[Part]
    outcome: Batch | Exception

    def launched(self) -> Batch:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class GpuPipeline:
    """At most one batch runs, one is launched behind it, and one is staged."""

    def __init__(self, thread: DeviceThread, runner: RunnerProtocol, queue: SharedQueue, delivery: Delivery) -> None:
        sys.setswitchinterval(_SWITCH_S)
        self._thread = thread
        self._runner = runner
        self._queue = queue
        self._delivery = delivery
        self._feeder = DeviceThread("feeder")
        self._feeder.start()
        self._lock = threading.Lock()
        # Under the lock: whether a batch is staged or about to be, whether one waits for its launch, and how many are
        # launched.
        self._staging = False
        self._ready = False
        self._in_flight = 0
        # Only for the device's thread: the batch launched last.
        self._running: _Ahead | None = None

    @property
    def idle(self) -> bool:
        return not (self._queue.rows or self._staging or self._in_flight)

    def run_at_once(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items: a GPU's forward never runs on the event loop."""
        return items

    def wake(self) -> None:
        """Have the next batch staged, unless one is already, or more rows may still come."""
        with self._lock:
            if self._staging or not self._worth_staging():
                return
            self._staging = True
        self._feeder.submit(self._stage)

    async def call(self, job: Callable[[], T]) -> T:
        """Run a job on the device's thread, between two batches."""
        return await self._thread.call(partial(self._alone, job))

    def stop(self) -> None:
        self._feeder.stop()
        self._thread.stop()

    def _worth_staging(self) -> bool:
        return self._queue.full or (self._queue.rows > 0 and not self._in_flight)

    def _stage(self) -> None:
        """Stage the next batch; on the feeder's thread."""
        try:
            with self._lock:
                self._staging = False
                parts = self._queue.take()
                self._staging = bool(parts)
        except Exception as error:  # Else the requests would wait for ever.
            self._queue.clear()
            self._delivery.broken(error)
            return
        if parts:
            staged = _Ahead(parts, _attempt(partial(stage, self._runner), parts))
            self._ready = True
            self._thread.submit(partial(self._advance, staged))

    def _advance(self, batch: _Ahead) -> None:
        """Launch the staged batch, and finish the one launched before it; on the device's thread."""
        with self._lock:
            self._staging = self._ready = False
            self._in_flight += 1
        self.wake()
        if isinstance(batch.outcome, Batch):
            batch = _Ahead(batch.parts, _attempt(self._runner.launch, batch.outcome))
        self._finish_running()
        self._running = batch
        if not self._ready:
            self._finish_running()

    def _alone(self, job: Callable[[], T]) -> T:
        self._finish_running()
        return job()

    def _finish_running(self) -> None:
        if self._running is None:
            return
        batch, self._running = self._running, None
        ran = self._delivery.complete(batch.parts, batch.launched)
        with self._lock:
            self._in_flight -= 1
        self.wake()
        self._delivery.deliver(ran)


def _attempt(step: Callable[[Any], Batch], given: Any) -> Batch | Exception:
    try:
        return step(given)
    except Exception as error:
        return error
