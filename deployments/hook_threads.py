"""The threads in which the hooks of larger requests run, within the time that a request has."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .core.errors import TimedOut
from .core.request import IsDisconnected

# Above this many rows a hook leaves the event loop; below, the hop to a thread costs more than it frees.
INLINE_ROWS = 8
T = TypeVar("T")


class HookThreads:
    """Threads of one hook: slow hooks must not block each other, nor the reading of bodies in asyncio's threads."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(thread_name_prefix=name)

    async def run(self, work: Callable[[], T], until_s: float, is_disconnected: IsDisconnected | None = None) -> T:
        """Return what `work` does in a thread.

        Raises:
            TimedOut: it was not done by `until_s`, on time.perf_counter's clock, or nobody waits for it any more.
        """

        def in_turn() -> T:
            # It may have waited for a thread; skip it if nobody waits for it any more.
            if time.perf_counter() >= until_s or (is_disconnected is not None and is_disconnected()):
                raise TimedOut
            return work()

        try:
            async with asyncio.timeout(until_s - time.perf_counter()):
                return await asyncio.get_running_loop().run_in_executor(self._threads, in_turn)
        except TimeoutError:  # Our own: the hook's would have come as InferenceFailed.
            raise TimedOut from None
