"""One batch at a time on the device's thread; the rows that wait when a forward ends make the next one.

A forward that takes less time than waking a thread runs on the event loop.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from models.runtime.batch import Batch
from models.signature import Shape

from .batch_result import BatchResult
from .delivery import Delivery
from .device_thread import DeviceThread
from .queue import Item, Part
from .runner_protocol import RunnerProtocol, stage
from .shared_queue import SharedQueue

T = TypeVar("T")

# Waking a thread and coming back costs the loop about this much on a virtual machine of two cores.
INLINE_MS = 0.3


class CpuExecutor:
    """Runs batches. `inline_ms` is the forward's time by shape, empty if the event loop must not run a short one."""

    def __init__(
        self,
        thread: DeviceThread,
        runner: RunnerProtocol,
        queue: SharedQueue,
        delivery: Delivery,
        inline_ms: Mapping[Shape, float],
    ) -> None:
        self._thread = thread
        self._runner = runner
        self._queue = queue
        self._delivery = delivery
        self._inline_ms = inline_ms
        # Held while a batch or a job runs, on either thread.
        self._busy = threading.Lock()
        self._woken = False

    @property
    def idle(self) -> bool:
        return not (self._queue.rows or self._busy.locked())

    def run_at_once(self, items: Sequence[Item]) -> Sequence[Item]:
        """Run one short batch on the event loop; return the items that it did not take."""
        if not self._inline_ms or self._queue.rows or not self._busy.acquire(blocking=False):
            return items
        try:
            ran = self._run(_whole(items)) if self._short(items) else None
        finally:
            self._busy.release()
        if ran is None:
            return items
        self._delivery.deliver_here(ran)
        return ()

    def wake(self) -> None:
        """Have the next batch run, unless that is about to happen."""
        if not self._woken:
            self._woken = True
            self._thread.submit(self._turn)

    async def call(self, job: Callable[[], T]) -> T:
        """Run a job on the device's thread, between two batches."""
        return await self._thread.call(partial(self._alone, job))

    def stop(self) -> None:
        self._thread.stop()

    def _alone(self, job: Callable[[], T]) -> T:
        with self._busy:
            return job()

    def _short(self, items: Sequence[Item]) -> bool:
        if sum(item.rows for item in items) > self._queue.most:
            return False
        if len(items) > 1 and any(item.whole for item in items):
            return False
        parts = [item.arrays for item in items]
        try:
            if not self._runner.open_sizes.may_share(parts):
                return False
            shape = self._runner.shape(parts)
        except Exception:  # The device's thread finds out which request fails.
            return False
        return self._inline_ms.get(shape, INLINE_MS) < INLINE_MS

    def _turn(self) -> None:
        """Run the next batch; waiting jobs run before the batch after it."""
        self._woken = False
        try:
            with self._busy:
                parts = self._queue.take()
                ran = self._run(parts) if parts else None
            if ran is not None:
                self._delivery.deliver(ran)
        except Exception as error:  # Else the requests would wait for ever.
            self._queue.clear()
            self._delivery.broken(error)
        if self._queue.rows:
            self.wake()

    def _run(self, parts: list[Part]) -> BatchResult:
        return self._delivery.complete(parts, partial(self._launched, parts))

    def _launched(self, parts: list[Part]) -> Batch:
        return self._runner.launch(stage(self._runner, parts))


def _whole(items: Sequence[Item]) -> list[Part]:
    return [Part(item, 0, item.rows) for item in items]
