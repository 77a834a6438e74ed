"""The threads in which hooks run that take long, within the time that a request has.

One that is quick runs on the event loop: the hop to a thread would cost more than it frees. One that is not, and waits
for a database say, would hold up every request there, and after forward_timeout_s the watchdog would end the process.
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .core.errors import TimedOut
from .core.request import IsDisconnected

# Above this many rows a hook always leaves the event loop, and below where it takes longer than this on average.
INLINE_ROWS = 8
INLINE_S = 0.0005
# Calls that the average is of, so that a thread switch in one of them does not count.
_CALLS = 32
# More than cores: hooks that take long mostly wait.
_MOST_THREADS = 32
T = TypeVar("T")


class HookThreads:
    """Threads of one hook: slow hooks must not block each other, nor the reading of bodies in asyncio's threads."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix=name)
        # Of calls with few rows. Unknown before the first, which may load what the hook needs.
        self._usual_s = math.inf

    async def call(
        self, rows: int, work: Callable[[], T], allowed_s: float, is_disconnected: IsDisconnected | None = None
    ) -> T:
        """Return what `work` does with so many rows: here and now if it is quick, else in a thread, as `run` does."""
        if self.is_quick(rows):
            return self.timed(rows, work)
        return await self.run(rows, work, time.perf_counter() + allowed_s, is_disconnected)

    def is_quick(self, rows: int) -> bool:
        """Whether a call may run on the event loop, by `timed`."""
        return rows <= INLINE_ROWS and self._usual_s < INLINE_S

    def timed(self, rows: int, work: Callable[[], T]) -> T:
        """Return what `work` does with so many rows, here and now."""
        began = time.perf_counter()
        try:
            return work()
        finally:
            if rows <= INLINE_ROWS:
                took_s = time.perf_counter() - began
                is_first = self._usual_s == math.inf
                self._usual_s = took_s if is_first else self._usual_s + (took_s - self._usual_s) / _CALLS

    async def run(
        self, rows: int, work: Callable[[], T], until_s: float, is_disconnected: IsDisconnected | None = None
    ) -> T:
        """Return what `work` does with so many rows in a thread.

        Raises:
            TimedOut: it was not done by `until_s`, on time.perf_counter's clock, or nobody waits for it any more.
        """

        def in_turn() -> T:
            # It may have waited for a thread; skip it if nobody waits for it any more.
            if time.perf_counter() >= until_s or (is_disconnected is not None and is_disconnected()):
                raise TimedOut
            return self.timed(rows, work)

        try:
            async with asyncio.timeout(until_s - time.perf_counter()):
                return await asyncio.get_running_loop().run_in_executor(self._threads, in_turn)
        except TimeoutError:  # Our own: the hook's would have come as InferenceFailed.
            raise TimedOut from None
