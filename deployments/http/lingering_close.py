"""Closes a connection without losing the answer, where the client still sends.

A socket that is closed with bytes unread resets the connection, and the client sees a broken pipe in place of its 413.
So the answer is followed by the end of our side alone; what still comes is read and thrown away, for a bounded time and
up to a bounded size, and then the connection is closed.
"""

import asyncio
from typing import Any

LINGER_S = 5.0
# More than a machine's own network carries in that time would be read for nobody.
LINGER_BYTES = 256 * 1024 * 1024


class Lingering(asyncio.Protocol):
    """Takes the place of `owner`, an HTTP protocol that has answered, on its connection."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._transport: asyncio.Transport = owner.transport
        self._left = LINGER_BYTES
        self._timer = owner.loop.call_later(LINGER_S, self._transport.close)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        self._owner.resume_writing()


def linger(owner: Any) -> None:
    """End our side of a connection, and close it once the client has ended its own, or has had its time."""
    transport: asyncio.Transport = owner.transport
    if transport.is_closing():
        return
    owner.flow.resume_reading()
    transport.set_protocol(Lingering(owner))
    if transport.can_write_eof():
        transport.write_eof()
