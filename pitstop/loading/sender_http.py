"""Sends prepared HTTP requests over as many connections as are needed at once, up to a limit.

A request that finds none free waits here for one, and its latency goes on counting.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from .clock import now
from .connection import Connection, Right
from .outcome import FAILED, REFUSED, TIMEOUT, Check, Done, Failure

_SWEEP_S = 0.05


class Address(NamedTuple):
    host: str
    port: int
    tls: bool = False


class _Waiting(NamedTuple):
    request: bytes
    done: Done
    deadline: float
    right: Right


class HttpSender:
    """The connections to one server. Satisfies outcome.Sender. With a `check`, a wrong answer is a failure."""

    def __init__(
        self, address: Address, requests: Sequence[bytes], most: int, timeout_s: float, check: Check | None = None
    ) -> None:
        self._address = address
        self._requests = requests
        self._most = most
        self._timeout_s = timeout_s
        self._check = check
        self._tls = ssl.create_default_context() if address.tls else None
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._waiting: deque[_Waiting] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self.queued = 0

    async def open(self, connections: int) -> None:
        self._sweep()
        await asyncio.gather(*(self._connect() for _ in range(min(connections, self._most))))

    def send(self, number: int, done: Done) -> None:
        request = self._requests[number % len(self._requests)]
        right = None if self._check is None else partial(self._check, number)
        if self._idle:
            self._idle.pop().send(request, done, self._timeout_s, right)
            return
        self._waiting.append(_Waiting(request, done, now() + self._timeout_s, right))
        if len(self._all) + len(self._opening) >= self._most:
            self.queued += 1
        elif len(self._opening) < len(self._waiting):
            self._connect_soon()

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._waiting.clear()
        for task in self._opening:
            task.cancel()
        for connection in list(self._all):
            connection.abandon()
        await asyncio.sleep(0)

    def freed(self, connection: Connection) -> None:
        """Take back a connection whose answer has come."""
        if self._waiting:
            waiting = self._waiting.popleft()
            connection.send(waiting.request, waiting.done, waiting.deadline - now(), waiting.right)
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection; may be told more than once."""
        if connection not in self._all:
            return
        self._all.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if len(self._opening) < len(self._waiting):
            self._connect_soon()

    def _connect_soon(self) -> None:
        task = asyncio.get_running_loop().create_task(self._connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        loop, (host, port, _) = asyncio.get_running_loop(), self._address
        try:
            making = loop.create_connection(lambda: Connection(self), host, port, ssl=self._tls)
            _, connection = await asyncio.wait_for(making, self._timeout_s)
        except (OSError, TimeoutError) as error:
            if self._waiting:
                self._waiting.popleft().done(Failure(_kind(error)))
            # Of those that came when no more connections were allowed, none has brought one with it.
            if len(self._opening) - 1 < len(self._waiting):
                self._connect_soon()
            return
        self._all.add(connection)
        self.freed(connection)

    def _sweep(self) -> None:
        """Look for what has taken too long; one timer for all, because one for each request would cost more."""
        time = now()
        for connection in [each for each in self._all if each.overdue(time)]:
            connection.expire()
        while self._waiting and self._waiting[0].deadline <= time:
            self._waiting.popleft().done(Failure(TIMEOUT))
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)


def _kind(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    return TIMEOUT if isinstance(error, TimeoutError) else FAILED
