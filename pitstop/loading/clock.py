"""An asyncio event loop whose timers are exact to some microseconds.

epoll counts its timeout in milliseconds, rounded up, so that asyncio's own timers, and uvloop's, fire up to 1 ms late:
several times what a small model takes to answer. select() counts microseconds.
"""

import asyncio
import select
import selectors
import sys

# What `loop.time` gives: all times of a run are on this clock.
from time import monotonic as now

__all__ = ["new_loop", "now"]


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop; elsewhere than on Linux, the platform's own, whose timers are fine already."""
    if sys.platform != "linux":
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(_Exact())


class _Exact(selectors.EpollSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # select() takes no descriptor from 1024 on; epoll's own is made first and is far below.
        if timeout is not None and timeout > 0:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)
