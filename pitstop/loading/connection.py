"""One keep-alive HTTP connection, as an asyncio protocol: a request out, its answer back, never two at a time."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from .clock import now
from .http_answer import Answer
from .outcome import CLOSED, GARBLED, PROXY, TIMEOUT, WRONG, Done, Failure

if TYPE_CHECKING:
    from .sender_http import HttpSender

_OK = 200
# Says of a body whether it is the right one; None where nobody looks.
Right = Callable[[bytes], bool] | None


class Connection(asyncio.Protocol):
    """Belongs to a sender, which it tells when it is free again or gone."""

    def __init__(self, sender: "HttpSender") -> None:
        self._sender = sender
        self._transport: asyncio.Transport | None = None
        self._answer = Answer()
        self._done: Done | None = None
        self._right: Right = None
        self._deadline = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes, done: Done, timeout_s: float, right: Right = None) -> None:
        assert self._transport is not None
        self._done = done
        self._right = right
        self._answer = Answer(keep=right is not None)
        self._deadline = now() + timeout_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._done is None:
            self._drop()
            return
        try:
            whole = self._answer.feed(data)
        except ValueError:
            self.fail(Failure(GARBLED))
            return
        if not whole:
            return
        answer, done, right, self._done = self._answer, self._done, self._right, None
        if answer.closes:
            self._drop()
        else:
            self._sender.freed(self)
        done(_outcome(answer, right))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.fail(Failure(CLOSED))

    def overdue(self, time: float) -> bool:
        return self._done is not None and self._deadline <= time

    def expire(self) -> None:
        """Give up on the answer: whatever comes later on this connection would be taken for the next one's."""
        self.fail(Failure(TIMEOUT))

    def fail(self, failure: Failure) -> None:
        done, self._done = self._done, None
        self._drop()
        if done is not None:
            done(failure)

    def abandon(self) -> None:
        self._done = None
        self._drop()

    def _drop(self) -> None:
        self._sender.lost(self)
        if self._transport is not None:
            self._transport.abort()


def _outcome(answer: Answer, right: Right) -> Failure | None:
    if answer.status == _OK:
        return None if right is None or right(answer.body) else Failure(WRONG)
    if answer.status == 500 and answer.plain:
        return Failure(PROXY)
    return Failure(f"HTTP {answer.status}", answer.retry_after_s)
