"""A thread that runs what it is given, one after the other.

The device's thread loads the model and runs its forwards, so that torch's threads and grad mode belong to it.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from models.user_code import call

T = TypeVar("T")
_log = logging.getLogger("pitstop")


class DeviceThread:
    """Tasks run in order and must not raise. Jobs run before tasks and may raise, since a coroutine awaits each."""

    def __init__(self, name: str = "device") -> None:
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._jobs: deque[Callable[[], None]] = deque()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, task: Callable[[], None]) -> None:
        """Run a task after the earlier ones."""
        self._tasks.put(task)

    async def call(self, job: Callable[[], T]) -> T:
        """Run a job; return its result or raise its error."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.append(partial(_finish, job, future, loop))
        self.submit(self._run_jobs)
        return await future

    def stop(self) -> None:
        """End the thread after its current task."""
        self._stopped = True
        self._tasks.put(lambda: None)

    def _work(self) -> None:
        while not self._stopped:
            task = self._tasks.get()
            try:
                self._run_jobs()
                task()
            except Exception:  # Not foreseen. Those of this task run into their time limit; the next ones must not.
                _log.exception("a task of the device's thread failed")

    def _run_jobs(self) -> None:
        while self._jobs:
            self._jobs.popleft()()


def _finish(job: Callable[[], T], future: "asyncio.Future[T]", loop: asyncio.AbstractEventLoop) -> None:
    try:
        value = call(job)  # SystemExit, say, would end the loop that awaits it.
    except BaseException as error:
        settle = partial(_fail, future, error)
    else:
        settle = partial(_succeed, future, value)
    with suppress(RuntimeError):  # The loop is closed: this replica stops.
        loop.call_soon_threadsafe(settle)


def _succeed(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[T]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
