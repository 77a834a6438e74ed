"""The one device thread: takes what waits each time the device is free, runs it, and hands answers to the event loop.

It loads the model too, so that torch's thread pool and grad mode belong to the thread that runs every forward.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from models.signature import Rows

from .errors import InferenceFailed
from .queue import Answer, Item, Part, split, take

T = TypeVar("T")
_log = logging.getLogger("pitstop")


class Runs(Protocol):
    """What the worker needs of a runner; models.runner.Runner is one."""

    def run(self, parts: Sequence[Rows]) -> Answer: ...

    def shape(self, parts: Sequence[Rows]) -> tuple[int, int]: ...


@dataclass(slots=True)
class Ran:
    """What one forward did. Times in seconds of the monotonic clock."""

    answers: list[tuple[Part, Answer | Exception]]
    rows: int
    padded_rows: int
    waited_s: float
    forward_s: float


class Worker:
    """Owns the device thread from start to `stop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, done: Callable[[Ran], None]) -> None:
        self._loop = loop
        self._done = done
        self._waiting: deque[Item] = deque()
        self._changed = threading.Condition()
        self._runner: Runs | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="device", daemon=True)
        self._jobs: deque[Callable[[], None]] = deque()
        self.limit = 1
        # Written by the device thread alone and read by the loop: rows that left the queue since the start.
        self.left_rows = 0

    def start(self) -> None:
        self._thread.start()

    async def call(self, job: Callable[[], T]) -> T:
        """Run a job on the device thread, between two batches."""
        future: asyncio.Future[T] = self._loop.create_future()

        def run() -> None:
            try:
                value = job()
            except BaseException as error:
                settle = partial(_fail, future, error)
            else:
                settle = partial(_succeed, future, value)
            self._loop.call_soon_threadsafe(settle)

        with self._changed:
            self._jobs.append(run)
            self._changed.notify()
        return await future

    def serve(self, runner: Runs) -> None:
        """Begin to answer with this runner."""
        with self._changed:
            self._runner = runner
            self._changed.notify()

    def put(self, items: Sequence[Item]) -> None:
        with self._changed:
            self._waiting.extend(items)
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._stopped or self._jobs or (self._waiting and self._runner)):
                    self._changed.wait()
                if self._stopped:
                    return
                job = self._jobs.popleft() if self._jobs else None
                parts: list[Part] = []
                if job is None:
                    parts, left = take(self._waiting, self.limit, time.monotonic())
                    self.left_rows += left
            if job is not None:
                job()
            elif parts:
                self._answer(parts)

    def _answer(self, parts: list[Part]) -> None:
        assert self._runner is not None
        began = time.monotonic()
        waited = began - min(part.item.arrived_s for part in parts)
        rows = sum(part.stop - part.start for part in parts)
        arrays = [part.arrays for part in parts]
        answers: list[tuple[Part, Answer | Exception]]
        try:
            padded = self._runner.shape(arrays)[0]
            answers = list(split(parts, self._runner.run(arrays)))
        except Exception as error:  # The model may raise anything; only the guilty request may suffer.
            padded = rows
            answers = [(part, self._alone(part, error, len(parts))) for part in parts]
        ran = Ran(answers, rows, padded, waited, time.monotonic() - began)
        self._loop.call_soon_threadsafe(self._done, ran)

    def _alone(self, part: Part, error: Exception, company: int) -> Answer | Exception:
        assert self._runner is not None
        if company > 1:
            try:
                return self._runner.run([part.arrays])
            except Exception as own:  # As above.
                error = own
        _log.error("the model failed on a request of %d rows", part.item.rows, exc_info=error)
        return InferenceFailed()


def _succeed(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
