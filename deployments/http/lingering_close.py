"""Closes a connection without losing the answer while the client still sends.

A socket that is closed with bytes unread resets the connection, and the client sees a broken pipe instead of its 413.
So only our side is closed after the answer. What still comes is read and dropped, for a bounded time and up to a
bounded size; then the connection is closed.
"""

import asyncio
from typing import Any

LINGER_S = 5.0
# Bounds what is read for nothing; a network seldom carries more in that time.
LINGER_BYTES = 256 * 1024 * 1024


class Lingering(asyncio.Protocol):
    """Replaces `owner`, an HTTP protocol that has answered, on its connection."""

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
    """Close our side of a connection, and all of it once the client has closed its own or the time is up."""
    transport: asyncio.Transport = owner.transport
    if transport.is_closing():
        return
    owner.flow.resume_reading()
    transport.set_protocol(Lingering(owner))
    if transport.can_write_eof():
        transport.write_eof()
