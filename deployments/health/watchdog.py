"""A thread that notices a forward which does not return, and an event loop that is blocked.

It works as long as Python runs. If native code holds the interpreter's lock, this thread cannot run either; then
faulthandler's own thread, which needs no interpreter, ends the process after twice the time.
"""

import asyncio
import faulthandler
import sys
import threading
import time
from collections.abc import Callable

from .heartbeat import Heartbeat

_LOOKS = 10
_LONGEST_TICK_S = 1.0
_BACKSTOP = 2.0
End = Callable[[str], None]


class Watchdog:
    """Calls `end` with the reason, once, if a step or the loop takes longer than `hang_s()`."""

    def __init__(
        self, heartbeat: Heartbeat, loop: asyncio.AbstractEventLoop, hang_s: Callable[[], float], end: End
    ) -> None:
        self._heartbeat = heartbeat
        self._loop = loop
        self._hang_s = hang_s
        self._end = end
        self._asked = False
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def look(self, elapsed_s: float) -> bool:
        """Check once, `elapsed_s` after the last time; return whether to go on.

        Raises:
            RuntimeError: the event loop is closed.
        """
        hang_s = self._hang_s()
        self._heartbeat.advance(elapsed_s, 2 * tick_s(hang_s))
        if not self._asked:
            self._asked = True
            self._loop.call_soon_threadsafe(self._beat)
        if self._heartbeat.loop_s >= hang_s:
            self._end(f"the event loop has not had a turn for {self._heartbeat.loop_s:.3g} s")
        # A step may have begun up to a tick later than the heartbeat says.
        elif self._heartbeat.step_s >= hang_s + tick_s(hang_s):
            self._end(
                f"a forward has not come back for {self._heartbeat.step_s:.3g} s (forward_timeout_s is {hang_s:g})"
            )
        else:
            return True
        return False

    def _beat(self) -> None:
        self._asked = False
        self._heartbeat.beat()

    def _watch(self) -> None:
        last_s = time.monotonic()
        try:
            while not self._stopped.wait(tick_s(self._hang_s())):
                _backstop(_BACKSTOP * self._hang_s())
                now_s = time.monotonic()
                if not self.look(now_s - last_s):
                    return
                last_s = now_s
        except RuntimeError:  # The loop is closed: this replica stops by itself.
            pass
        faulthandler.cancel_dump_traceback_later()


def tick_s(hang_s: float) -> float:
    """Return the time between two checks."""
    return min(_LONGEST_TICK_S, hang_s / _LOOKS)


def _backstop(after_s: float) -> None:
    """End the process by a thread without Python, unless this is called again in time."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(after_s, exit=True, file=sys.__stderr__)
