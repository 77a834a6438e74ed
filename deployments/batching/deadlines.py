"""Ends requests whose time is up or whose client has left.

A deadline of a second or more is a dict entry that is checked ten times a second, so it may end 0.1 s late; a shorter
one has a timer of its own.
"""

import asyncio
import time

from ..core.errors import TimedOut
from .queue import Item

_SWEEP_S = 0.1
_SHORT_S = 1.0


class Deadlines:
    """The deadlines of one event loop's requests."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[Item, asyncio.TimerHandle | None] = {}
        self._sweeping = False

    def watch(self, item: Item, allowed_s: float) -> None:
        """End the item with TimedOut once its time is up."""
        if allowed_s < _SHORT_S:
            self._watched[item] = self._loop.call_later(allowed_s, self._expire, item)
            return
        self._watched[item] = None
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(_SWEEP_S, self._sweep)

    def forget(self, item: Item) -> None:
        """Stop watching an item; nothing happens if it is not watched."""
        if (timer := self._watched.pop(item, None)) is not None:
            timer.cancel()

    def end_all(self, error: Exception) -> None:
        """End every item that waits for its answer."""
        for item in list(self._watched):
            self.forget(item)
            item.end(error)

    def _expire(self, item: Item) -> None:
        self.forget(item)
        item.end(TimedOut())

    def _sweep(self) -> None:
        now = time.perf_counter()
        for item in [item for item in self._watched if item.is_expired(now)]:
            self._expire(item)
        self._sweeping = bool(self._watched)
        if self._sweeping:
            self._loop.call_later(_SWEEP_S, self._sweep)
