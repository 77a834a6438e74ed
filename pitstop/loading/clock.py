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


# select() takes no descriptor from here on; a loop that is made behind so many connections waits as epoll does.
_FD_SETSIZE = 1024


class _Exact(selectors.EpollSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0 and self.fileno() < _FD_SETSIZE:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)
