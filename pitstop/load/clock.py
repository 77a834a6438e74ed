"""The event loop of the load, and a timer for it that is exact to some microseconds.

uvloop takes much less CPU time for a request than asyncio's own loop. But it counts timers in milliseconds, several
times what a small model takes to answer. The kernel's timerfd counts nanoseconds, and is a file that a loop can watch.
"""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable

# What all times of a run are on; timerfd counts by the same clock.
from time import monotonic as now

__all__ = ["Alarm", "new_loop", "now"]

_CLOCK_MONOTONIC, _TIMER_ABSTIME = 1, 1
_LIBC = ctypes.CDLL(None, use_errno=True)
# The kernel's itimerspec: the interval in seconds and nanoseconds, then the time.
_Times = ctypes.c_long * 4
_HAS_TIMERFD = sys.platform == "linux"


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where timerfd makes up for its timers, else the platform's own."""
    if not _HAS_TIMERFD:
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


class Alarm:
    """Calls `ring` at the time that was `set` last; within a running event loop, until it is closed."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._file = -1
        if _HAS_TIMERFD:
            self._file = _LIBC.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
            if self._file < 0:
                raise OSError(ctypes.get_errno(), "timerfd_create")
            self._loop.add_reader(self._file, self._due)

    def set(self, at_s: float) -> None:
        """Ring once at a time of `now`; at once where that is over."""
        if not _HAS_TIMERFD:
            self.close()
            self._timer = self._loop.call_at(at_s, self._ring)
            return
        seconds = int(at_s)
        times = _Times(0, 0, seconds, int((at_s - seconds) * 1e9))
        _LIBC.timerfd_settime(self._file, _TIMER_ABSTIME, times, None)

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _due(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:  # Set anew meanwhile.
            return
        self._ring()
