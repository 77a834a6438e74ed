"""Many connections behind one epoll: send on any of them, and ask which have their answer."""

import select
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from .connection import Address, Connection

Finished = tuple[Connection, str]


class Pool:
    """Connections to one server. A finished request is told with what was wrong with it: "" for nothing."""

    def __init__(self, address: Address, size: int) -> None:
        self._epoll = select.epoll()
        self._by_fd: dict[int, Connection] = {}
        self.connections: Sequence[Connection] = [Connection(address) for _ in range(size)]

    def __enter__(self) -> Self:
        for connection in self.connections:
            self._register(connection)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for connection in self.connections:
            connection.sock.close()
        self._epoll.close()

    def send(self, connection: Connection, request: bytes) -> None:
        """Send a request on an idle connection; where the server has closed it, or is about to, on a new one."""
        if connection.closing:
            self._reopen(connection)
        try:
            whole = connection.send(request)
        except BlockingIOError:
            connection.unsent, whole = memoryview(request), False
        except ConnectionError:
            self._reopen(connection)
            whole = connection.send(request)
        if not whole:
            self._epoll.modify(connection.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def finished(self, timeout_s: float, exact: bool = False) -> list[Finished]:
        """Return the connections whose request is over, waiting up to `timeout_s` for something to happen.

        `exact` wakes up in time to the microsecond: epoll's own timeout counts milliseconds.
        """
        if exact:
            events = self._epoll.poll(0)
            if not events and timeout_s > 0:
                select.select([self._epoll], [], [], timeout_s)
                events = self._epoll.poll(0)
        else:
            events = self._epoll.poll(timeout_s)
        found = []
        for fd, event in events:
            connection = self._by_fd[fd]
            outcome = self._advance(connection, event)
            if outcome is not None:
                found.append((connection, outcome))
        return found

    def _advance(self, connection: Connection, event: int) -> str | None:
        """Read or write what is due; return what was wrong once a request is over, else None."""
        waiting = connection.waiting
        try:
            if event & select.EPOLLOUT and connection.flush():
                self._epoll.modify(connection.sock.fileno(), select.EPOLLIN)
            if not event & ~select.EPOLLOUT:
                return None
            status = connection.receive()
        except BlockingIOError:
            return None
        except (ConnectionError, ValueError) as error:
            self._reopen(connection)
            return type(error).__name__ if waiting else None
        if not status:
            return None
        return "" if status == 200 else f"status {status}"

    def _register(self, connection: Connection) -> None:
        fd = connection.sock.fileno()
        self._by_fd[fd] = connection
        self._epoll.register(fd, select.EPOLLIN)

    def _reopen(self, connection: Connection) -> None:
        del self._by_fd[connection.sock.fileno()]
        connection.reopen()
        self._register(connection)
