"""How one request ended. None stands for success throughout: the common case costs nothing."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

TIMEOUT = "timeout"
REFUSED = "connection refused"
CLOSED = "connection closed"
FAILED = "connection failed"
GARBLED = "not HTTP"
WRONG = "wrong answer"
# A proxy says so of a request whose server went away; a server's own errors are JSON.
PROXY = "HTTP 500 from the proxy"
CONNECTION = frozenset((REFUSED, CLOSED, FAILED))


class Failure(NamedTuple):
    """`kind` is what errors are counted by; `retry_after_s` is what the server asked to wait, where it did."""

    kind: str
    retry_after_s: float | None = None


# Told a request's number and how it ended.
Done = Callable[[int, Failure | None], None]
# Told a request's number and the body of its answer; says whether that is the right one.
Check = Callable[[int, bytes], bool]


class Sender(Protocol):
    """Sends prepared requests over one transport."""

    # Requests that found all connections busy.
    queued: int

    async def open(self, connections: int) -> None:
        """Connect ahead of the first request."""

    def send(self, number: int, done: Done) -> None:
        """Send request `number` of those prepared, counted round and round; `done` is called once, later."""

    async def close(self) -> None:
        """Give up what is under way, in silence."""
