"""Ends a replica's process from within, since a thread that is stuck in CUDA cannot be ended.

Waiting requests get an error first, with a quarter of a second to send it; then the process ends, and Serve starts
another. Waiting longer would do harm: a replica that refuses at once looks idle to HAProxy, which sends it more than
its share. If the event loop has no turn within two seconds, the process ends without an answer.
"""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable

FAREWELL_S = 0.25
LONGEST_S = 2.0
_log = logging.getLogger("pitstop")


class ProcessTerminator:
    """Ends the process, once. `tell` is called on the event loop, if that still runs."""

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[], None],
        leave: Callable[[], None] | None = None,
    ) -> None:
        self._name = name
        self._loop = loop
        self._tell = tell
        self._leave = leave or _leave
        self._lock = threading.Lock()

    @property
    def begun(self) -> bool:
        return self._lock.locked()

    def __call__(self, why: str) -> None:
        """Log why, with the stack of every thread, and end the process a moment later. Callable from any thread."""
        if not self._lock.acquire(blocking=False):
            return
        # First, so that nothing below can keep the process alive.
        timer = threading.Timer(LONGEST_S, self._leave)
        timer.daemon = True
        timer.start()
        self._loop.call_soon_threadsafe(self._say_farewell)
        _log.error("%s: %s; this replica ends itself, and Serve starts another", self._name, why)
        if sys.__stderr__ is not None:
            faulthandler.dump_traceback(sys.__stderr__)

    def _say_farewell(self) -> None:
        # The time runs from here: on a busy machine the loop may get here late.
        self._loop.call_later(FAREWELL_S, self._leave)
        self._tell()


def _leave() -> None:
    # No sys.exit and no clean-up: both could wait for the stuck thread.
    os._exit(1)
