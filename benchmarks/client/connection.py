"""One keep-alive connection: a request goes out, an answer comes back, never two at a time."""

import socket

from . import http

Address = tuple[str, int]

_SEND_BYTES = 1 << 20
# Larger, and each call would map and unmap its memory.
_RECEIVE_BYTES = 1 << 16


class Connection:
    """A non-blocking socket with the answer it is waiting for.

    `started` belongs to whoever sends; `closing` is what the server said with its last answer.
    """

    __slots__ = ("_address", "_buffer", "_length", "answer", "closing", "sock", "started", "unsent", "waiting")

    def __init__(self, address: Address) -> None:
        self._address = address
        self._buffer = b""
        self._length = 0
        self.answer = b""
        self.started = 0.0
        self.unsent = memoryview(b"")
        self.waiting = self.closing = False
        self.sock = _connect(address)

    def reopen(self) -> None:
        """Connect again, after the server has closed or something has gone wrong."""
        self.sock.close()
        self._buffer, self._length, self.unsent = b"", 0, memoryview(b"")
        self.waiting = self.closing = False
        self.sock = _connect(self._address)

    def send(self, request: bytes) -> bool:
        """Send a request; return whether all of it went out. `flush` sends what is left."""
        self.waiting = True
        sent = self.sock.send(request)
        if sent == len(request):
            return True
        self.unsent = memoryview(request)[sent:]
        return False

    def flush(self) -> bool:
        """Send more of what `send` left over; return whether that was the rest."""
        self.unsent = self.unsent[self.sock.send(self.unsent) :]
        return not self.unsent

    def receive(self) -> int:
        """Read what has come; return the answer's status once it is whole, until then 0.

        Raises:
            ConnectionError: the server closed.
        """
        data = self.sock.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError("closed by the server")
        if self._buffer:
            data = self._buffer + data
        length = self._length or http.whole_length(data)
        if length and http.is_whole(data, length):
            self.answer, self.closing = data, http.closes(data)
            self._buffer, self._length, self.waiting = b"", 0, False
            return http.status_of(data)
        self._buffer, self._length = data, length
        return 0


def _connect(address: Address) -> socket.socket:
    sock = socket.create_connection(address, timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # An image goes out in one call.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
    sock.setblocking(False)
    return sock
