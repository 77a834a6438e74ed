"""Sends prepared HTTP requests over as many connections as are needed at once, up to a limit.

A request that finds none free waits here for one, and its latency goes on counting.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from deployments.http_client.connection import Connection, NotHttpError
from deployments.http_client.reply import Reply

from .clock import now
from .outcome import CLOSED, FAILED, GARBLED, PROXY, REFUSED, TIMEOUT, WRONG, Check, Done, Failure

_OK, _SERVER_ERROR = 200, 500
_SWEEP_S = 0.05


class Address(NamedTuple):
    host: str
    port: int
    tls: bool = False


class _Waiting(NamedTuple):
    number: int
    done: Done
    deadline: float

    def end(self, failure: Failure) -> None:
        self.done(self.number, failure)


class HttpSender:
    """The connections to one server. Satisfies outcome.Sender. With a `check`, a wrong answer is a failure."""

    def __init__(
        self, address: Address, requests: Sequence[bytes], most: int, timeout_s: float, check: Check | None = None
    ) -> None:
        self._address = address
        self._requests, self._count = requests, len(requests)
        self._most = most
        self._timeout_s = timeout_s
        # Of what is sent now. Moved on by the sweeper: to ask the clock at each request would cost more.
        self._deadline = 0.0
        self._check = check
        self._tls = ssl.create_default_context() if address.tls else None
        self._idle: list[_Lane] = []
        self._all: set[_Lane] = set()
        self._waiting: deque[_Waiting] = deque()
        # A number beside the tasks: a task that has ended leaves its set only later.
        self._opening = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self.queued = 0

    async def open(self, connections: int) -> None:
        self._sweep()
        self._opening = min(connections, self._most)
        await asyncio.gather(*(self._connect() for _ in range(self._opening)))

    def send(self, number: int, done: Done) -> None:
        while self._idle:
            lane = self._idle.pop()
            if lane.connection.open:
                self._send_on(lane, number, done, self._deadline)
                return
            self._all.discard(lane)
        self._waiting.append(_Waiting(number, done, self._deadline))
        if len(self._all) + self._opening >= self._most:
            self.queued += 1
        elif self._opening < len(self._waiting):
            self._connect_soon()

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        for lane in self._all:
            lane.connection.close()
        await asyncio.sleep(0)

    def freed(self, lane: "_Lane") -> None:
        """Take back a connection whose request has ended."""
        if not lane.connection.open:
            self._all.discard(lane)
            if self._opening < len(self._waiting):
                self._connect_soon()
        elif self._waiting:
            self._send_on(lane, *self._waiting.popleft())
        else:
            self._idle.append(lane)

    def outcome(self, number: int, result: Reply | ConnectionError) -> Failure | None:
        """Say how request `number` ended."""
        if isinstance(result, ConnectionError):
            return Failure(GARBLED if isinstance(result, NotHttpError) else CLOSED)
        if result.status != _OK:
            return _refusal(result)
        return None if self._check is None or self._check(number, result.body) else Failure(WRONG)

    def _send_on(self, lane: "_Lane", number: int, done: Done, deadline: float) -> None:
        lane.number, lane.done, lane.deadline = number, done, deadline
        lane.connection.send(lane.ended, self._requests[number % self._count])

    def _connect_soon(self) -> None:
        self._opening += 1
        task = asyncio.get_running_loop().create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        loop, (host, port, _) = asyncio.get_running_loop(), self._address
        try:
            making = loop.create_connection(partial(Connection, lazy=True), host, port, ssl=self._tls)
            _, connection = await asyncio.wait_for(making, self._timeout_s)
        except (OSError, TimeoutError) as error:
            self._opening -= 1
            if self._waiting:
                self._waiting.popleft().end(Failure(_kind(error)))
            # Of those that came when no more connections were allowed, none has brought one with it.
            if self._opening < len(self._waiting):
                self._connect_soon()
            return
        self._opening -= 1
        lane = _Lane(self, connection)
        self._all.add(lane)
        self.freed(lane)

    def _sweep(self) -> None:
        """Look for what has taken too long; one timer for all, because one for each request would cost more."""
        time = now()
        self._deadline = time + self._timeout_s + _SWEEP_S
        for lane in [each for each in self._all if each.done is not None and each.deadline <= time]:
            lane.expire()
        while self._waiting and self._waiting[0].deadline <= time:
            self._waiting.popleft().end(Failure(TIMEOUT))
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)


class _Lane:
    """A connection, and the request that is under way on it: `done` is None where none is."""

    __slots__ = ("_sender", "connection", "deadline", "done", "number")

    def __init__(self, sender: HttpSender, connection: Connection) -> None:
        self._sender = sender
        self.connection = connection
        self.number = 0
        self.deadline = 0.0
        self.done: Done | None = None

    def expire(self) -> None:
        """Give up on the answer: whatever comes later on this connection would be taken for the next one's."""
        self.connection.close()
        self._end(Failure(TIMEOUT))

    def ended(self, result: Reply | ConnectionError) -> None:
        self._end(self._sender.outcome(self.number, result))

    def _end(self, failure: Failure | None) -> None:
        number, done, self.done = self.number, self.done, None
        self._sender.freed(self)
        if done is not None:
            done(number, failure)


def _refusal(reply: Reply) -> Failure:
    # A proxy says so in text, which no server of the Open Inference Protocol sends.
    if reply.status == _SERVER_ERROR and reply.headers.get(b"content-type", b"").startswith(b"text/"):
        return Failure(PROXY)
    wait = reply.headers.get(b"retry-after", b"")
    return Failure(f"HTTP {reply.status}", float(wait) if wait.isdigit() else None)


def _kind(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    return TIMEOUT if isinstance(error, TimeoutError) else FAILED
