"""The device's threads: they take what waits each time the device is free, run it, and hand answers to the event loop.

One thread on the CPU. On a GPU two: while one forward runs, the next batch is collated and copied, as soon as it is
full; one that is not full waits for company until the device is free. The device thread loads the model too, so that
torch's threads and grad mode belong to it. A forward that is over sooner than a thread wakes up runs on the loop.
"""

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from models.batch import Batch
from models.rates import rows_to_take
from models.signature import Shape

from .grouping import Grouping
from .jobs import awaited
from .queue import Item, Part, Waiting
from .ran import Ran, complete
from .room import Room
from .runs import Runs

T = TypeVar("T")
Done = Callable[[Ran], None]
Staged = tuple[list[Part], Batch | Exception]

# Waking a thread and coming back costs the loop about this much on a virtual machine of two cores.
INLINE_MS = 0.3
# Python's own 5 ms may come on top of each of a batch's dozens of such calls while requests are parsed: long beside a
# GPU's forward. On two CPU cores less gained nothing.
_SWITCH_S = 0.0001


class Worker:
    """Owns the device from start to `stop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done: Done = _nobody
        self._waiting = Waiting()
        self._changed = threading.Condition()
        self._device = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._runner: Runs | None = None
        self._room = Room()
        self._inline_ms: Mapping[Shape, float] = {}
        self._to_take: Mapping[int, int] = {}
        self._staged: Staged | None = None
        self._in_flight = 0
        self._stopped = False
        self._free_since_s = 0.0
        self._thread = threading.Thread(target=self._work, name="device", daemon=True)
        self.limit = 1

    def start(self) -> None:
        self._thread.start()

    def listen(self, done: Done) -> None:
        """Hand what ran to `done`, on the event loop."""
        self._done = done

    async def call(self, job: Callable[[], T]) -> T:
        """Run a job on the device thread, between two batches."""
        run, future = awaited(job, self._loop)
        with self._changed:
            self._jobs.append(run)
            self._changed.notify_all()
        return await future

    def serve(
        self,
        runner: Runs,
        forward_ms: Mapping[Shape, float] | None = None,
        room: Room | None = None,
        *,
        on_loop: bool = False,
    ) -> None:
        """Begin to answer with this runner.

        Args:
            runner: runs the batches.
            forward_ms: the forward's time by shape; it decides which of the rows that wait share a forward.
            room: what fits into memory.
            on_loop: whether the event loop may run a short forward itself.
        """
        with self._changed:
            self._runner = runner
            self._room = room or self._room
            self._inline_ms = forward_ms if forward_ms and on_loop else {}
            if forward_ms and runner.open_inputs:
                self._waiting.grouping = Grouping(forward_ms, runner.open_inputs)
            elif forward_ms:
                self._to_take = rows_to_take(forward_ms)
            if runner.overlaps:
                # Each call into torch or numpy lets go of the interpreter, and beside a busy loop waits for it again.
                sys.setswitchinterval(_SWITCH_S)
                threading.Thread(target=self._feed, name="feeder", daemon=True).start()
            self._changed.notify_all()

    @property
    def grouping(self) -> Grouping | None:
        """What decides which rows share a forward, where their lengths differ."""
        return self._waiting.grouping

    @property
    def waiting_rows(self) -> int:
        """Rows that no forward has taken yet."""
        return self._waiting.rows

    @property
    def idle(self) -> bool:
        """Whether the device has nothing to do."""
        return not (self._waiting or self._in_flight or self._device.locked())

    def put(self, items: Sequence[Item]) -> None:
        """Queue items; called on the event loop."""
        if self._inline_ms and self.idle and self._device.acquire(blocking=False):
            try:
                items = self._run_here(items)
            finally:
                self._device.release()
        if items:
            with self._changed:
                for item in items:
                    self._waiting.append(item)
                self._changed.notify_all()

    def drop_expired(self) -> None:
        """Let go of what nobody waits for any more."""
        with self._changed:
            self._waiting.drop_expired(time.perf_counter())

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run_here(self, items: Sequence[Item]) -> Sequence[Item]:
        """Run one short batch on the event loop; return the items that it did not take."""
        runner = self._runner
        rows = sum(item.rows for item in items)
        if runner is None or rows > self._most:
            return items
        try:
            shape = runner.shape([item.arrays for item in items])
        except Exception:  # The device's thread finds out whose fault that is.
            return items
        if self._inline_ms.get(shape, INLINE_MS) >= INLINE_MS:
            return items
        self._done(self._complete([Part(item, 0, item.rows) for item in items]))
        return ()

    def _work(self) -> None:
        """The device thread."""
        previous: Staged | None = None
        while not self._stopped:
            try:
                previous = self._turn(previous)
            except Exception as error:  # This thread must not end: whoever waits would wait in vain.
                previous = None
                self._broken(error)

    def _turn(self, previous: Staged | None) -> Staged | None:
        """Do the next thing, and finish what was launched before; return what was launched now."""
        job, parts, staged = None, [], None
        with self._changed:
            while not (self._stopped or previous or self._jobs or self._staged or self._may_take()):
                self._changed.wait()
            if self._stopped:
                return None
            if self._jobs and previous is None:
                job = self._jobs.popleft()
            # Beside a feeder that never rests, jobs would wait for ever: they go before what is staged.
            elif self._staged is not None and not self._jobs:
                staged, self._staged = self._staged, None
                self._in_flight += 1
                self._changed.notify_all()
            elif previous is None:
                parts = self._take()
                self._in_flight += bool(parts)
        if job is not None:
            with self._device:
                job()
        if parts:
            with self._device:
                ran = self._complete(parts)
            self._deliver(ran)
        if staged is not None and isinstance(staged[1], Batch):
            staged = (staged[0], self._launch(staged[1]))
        if previous is not None:
            self._deliver(self._finish(*previous))
        return staged

    def _broken(self, error: Exception, in_flight: int = 0) -> None:
        """Tell the event loop of what was not foreseen; `in_flight`: batches that the other thread still has."""
        with self._changed:
            self._waiting.clear()
            self._staged = None
            self._in_flight = in_flight
            self._changed.notify_all()
        self._tell(Ran([], 0, (0, 0), broken=error))

    def _take(self) -> list[Part]:
        most = self._most
        rows = self._to_take.get(min(self._waiting.rows, most), most)
        return self._waiting.take(rows, time.perf_counter())

    @property
    def _most(self) -> int:
        """Most rows in a forward now."""
        return self._room.within(self.limit)

    def _may_take(self) -> bool:
        return self._runner is not None and not self._runner.overlaps and bool(self._waiting)

    def _feed(self) -> None:
        """The feeder thread of a GPU: stages a full batch ahead, or whatever there is where the device is free."""
        assert self._runner is not None
        while True:
            parts: list[Part] = []
            with self._changed:
                while not (self._stopped or (self._staged is None and self._worth_staging())):
                    self._changed.wait()
                if self._stopped:
                    return
                try:
                    parts = self._take()
                except Exception as error:  # As in _work.
                    self._broken(error, self._in_flight)
            if not parts:
                continue
            batch: Batch | Exception
            try:
                batch = self._runner.stage([part.arrays for part in parts])
            except Exception as error:  # Told where the batch would be answered.
                batch = error
            with self._changed:
                self._staged = (parts, batch)
                self._changed.notify_all()

    def _worth_staging(self) -> bool:
        return self._waiting.rows >= self._most or (bool(self._waiting) and not self._in_flight)

    def _complete(self, parts: list[Part]) -> Ran:
        runner = self._runner
        assert runner is not None
        arrays = [part.arrays for part in parts]
        ran = complete(runner, parts, lambda: runner.launch(runner.stage(arrays)), self._free_since_s, self._room)
        self._free_since_s = ran.ended_s
        return ran

    def _launch(self, batch: Batch) -> Batch | Exception:
        assert self._runner is not None
        try:
            return self._runner.launch(batch)
        except Exception as error:  # Told where the batch would be answered.
            return error

    def _finish(self, parts: list[Part], batch: Batch | Exception) -> Ran:
        assert self._runner is not None

        def launched() -> Batch:
            if isinstance(batch, Exception):
                raise batch
            return batch

        ran = complete(self._runner, parts, launched, self._free_since_s, self._room)
        self._free_since_s = ran.ended_s
        return ran

    def _deliver(self, ran: Ran) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()
        self._tell(ran)

    def _tell(self, ran: Ran) -> None:
        with suppress(RuntimeError):  # The loop is closed: this replica stops.
            self._loop.call_soon_threadsafe(self._done, ran)


def _nobody(_: Ran) -> None:
    """Before anyone listens nothing runs."""
