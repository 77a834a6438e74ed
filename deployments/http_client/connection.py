"""One keep-alive connection, with one request at a time."""

import asyncio
from collections.abc import Callable
from typing import cast

from .reply import Reply, ReplyReader

# Called once for each request, with its answer or its error.
Ended = Callable[[Reply | ConnectionError], None]


class StaleError(ConnectionError):
    """A used connection was closed before any byte of an answer: most likely the request was not read."""


class NotHttpError(ConnectionError):
    """The answer is not HTTP/1.1."""


class Connection(asyncio.Protocol):
    """An asyncio protocol. `open` says whether another request may be sent, once the last one has ended.

    `lazy` is ReplyReader's: for a caller that looks only at the status of most answers.
    """

    __slots__ = ("_ended", "_reader", "_served", "_silent", "_transport", "open")

    def __init__(self, lazy: bool = False) -> None:
        self.open = False
        self._reader = ReplyReader(lazy)
        self._ended: Ended | None = None
        self._served = self._silent = False

    def send(self, ended: Ended, head: bytes, body: bytes = b"") -> None:
        """Send a request: its head and its body, or all of it in `head`."""
        self._ended, self._silent = ended, True
        # asyncio of Python 3.12 keeps an empty piece in its buffer for ever: it would spin and never close.
        if body:
            self._transport.writelines((head, body))
        else:
            self._transport.write(head)

    def close(self) -> None:
        """Close at once; a pending request gets neither an answer nor an error."""
        self.open, self._ended = False, None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        self._silent = False
        if self._ended is None:
            self.close()
            return
        try:
            reply = self._reader.feed(data)
        except ValueError as error:
            self._end(NotHttpError(str(error)))
            return
        if reply is not None:
            ended, self._ended, self._served = self._ended, None, True
            if not self._reader.keep_alive:
                self.close()
            ended(reply)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        kind = StaleError if self._served and self._silent else ConnectionError
        self._end(self._reader.end() or kind("closed before the answer was whole"))

    def _end(self, result: Reply | ConnectionError) -> None:
        ended = self._ended
        self.close()
        if ended is not None:
            ended(result)
