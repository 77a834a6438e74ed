"""A device in this process: the queue, the executor that runs batches, and the delivery to the event loop."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from models.signature import Shape

from .cpu_executor import CpuExecutor
from .delivery import Delivery, Done
from .device_thread import DeviceThread
from .fifo import Fifo
from .gpu_pipeline import GpuPipeline
from .grouping import Grouping
from .memory_limit import MemoryLimit
from .queue import Item
from .runner_protocol import RunnerProtocol
from .shared_queue import SharedQueue

T = TypeVar("T")


class LocalDevice:
    """Satisfies DeviceProtocol; its methods are called on the event loop."""

    def __init__(self, queue: SharedQueue, delivery: Delivery, executor: CpuExecutor | GpuPipeline) -> None:
        self._queue = queue
        self._delivery = delivery
        self._executor = executor

    @property
    def limit(self) -> int:
        """Most rows in a forward, as configured."""
        return self._queue.limit

    @property
    def grouping(self) -> Grouping | None:
        """The policy, if rows differ in size."""
        policy = self._queue.policy
        return policy if isinstance(policy, Grouping) else None

    @property
    def waiting_rows(self) -> int:
        """Rows that no forward has taken yet."""
        return self._queue.rows

    @property
    def idle(self) -> bool:
        """Whether the device has nothing to do."""
        return self._executor.idle

    def set_limit(self, rows: int) -> None:
        self._queue.limit = rows

    def listen(self, done: Done) -> None:
        """Hand what ran to `done`, on the event loop."""
        self._delivery.listen(done)

    def put(self, items: Sequence[Item]) -> None:
        """Queue items, or run them at once where that is sooner."""
        if items := self._executor.run_at_once(items):
            self._queue.put(items)
            self._executor.wake()

    def drop_expired(self) -> None:
        """Drop the items that nobody waits for any more."""
        self._queue.drop_expired()

    async def call(self, job: Callable[[], T]) -> T:
        """Run a job on the device's thread, between two batches."""
        return await self._executor.call(job)

    def stop(self) -> None:
        """End the threads, each after its current job."""
        self._executor.stop()


def open_device(
    thread: DeviceThread,
    runner: RunnerProtocol,
    forward_ms: Mapping[Shape, float] | None = None,
    memory_limit: MemoryLimit | None = None,
    *,
    on_loop: bool = False,
) -> LocalDevice:
    """Return a device for this event loop: a pipeline if the runner's batches overlap, else one batch at a time.

    Args:
        thread: the device's thread, which loaded the model.
        runner: runs the batches.
        forward_ms: the forward's time by shape; from it the policy chooses which waiting rows share a forward.
        memory_limit: how many rows fit into memory.
        on_loop: whether the event loop may run a short forward itself.
    """
    times, memory_limit = forward_ms or {}, memory_limit or MemoryLimit()
    queue = SharedQueue(
        Grouping(times, runner.open_sizes) if times and runner.open_sizes else Fifo(times), memory_limit
    )
    delivery = Delivery(runner, memory_limit, asyncio.get_running_loop())
    if runner.overlaps:
        return LocalDevice(queue, delivery, GpuPipeline(thread, runner, queue, delivery))
    return LocalDevice(queue, delivery, CpuExecutor(thread, runner, queue, delivery, times if on_loop else {}))
