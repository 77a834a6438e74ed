"""The next batch is collated and copied while one runs, and launched behind it.

The feeder's thread stages a batch as soon as it is full; one that is not full waits for company until the device is
free. The device's thread launches what is staged, and then finishes what was launched before.
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
from .runner_protocol import RunnerProtocol
from .shared_queue import SharedQueue

T = TypeVar("T")

# Each call into torch or numpy lets go of the interpreter, and beside a busy loop waits for it again. Python's own 5 ms
# may come on top of each of a batch's dozens of such calls while requests are parsed: long beside a GPU's forward. On
# two CPU cores less gained nothing.
_SWITCH_S = 0.0001


class _Ahead(NamedTuple):
    """A batch that is staged or launched, or the error of that, which is told where the batch would be answered."""

    parts: list[Part]
    found: Batch | Exception

    def launched(self) -> Batch:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


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
        # Under the lock: whether a batch is staged or is about to be, whether it waits for its launch, and how many
        # are launched.
        self._staging = False
        self._ready = False
        self._in_flight = 0
        # Of the device's thread alone: what was launched last.
        self._running: _Ahead | None = None

    @property
    def idle(self) -> bool:
        return not (self._queue.rows or self._staging or self._in_flight)

    def run_at_once(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items: a GPU's forward never runs on the event loop."""
        return items

    def wake(self) -> None:
        """Have the next batch staged, unless one is, or company may still come."""
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
        return self._queue.rows >= self._queue.most or (self._queue.rows > 0 and not self._in_flight)

    def _stage(self) -> None:
        """Stage what waits; on the feeder's thread."""
        try:
            with self._lock:
                self._staging = False
                parts = self._queue.take()
                self._staging = bool(parts)
        except Exception as error:  # Whoever waits would wait in vain.
            self._queue.clear()
            self._delivery.broken(error)
            return
        if parts:
            staged = _Ahead(parts, _attempt(self._stage_parts, parts))
            self._ready = True
            self._thread.submit(partial(self._advance, staged))

    def _stage_parts(self, parts: list[Part]) -> Batch:
        return self._runner.stage([part.arrays for part in parts])

    def _advance(self, batch: _Ahead) -> None:
        """Launch what is staged, and finish what was launched before; on the device's thread."""
        with self._lock:
            self._staging = self._ready = False
            self._in_flight += 1
        self.wake()
        if isinstance(batch.found, Batch):
            batch = _Ahead(batch.parts, _attempt(self._runner.launch, batch.found))
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
