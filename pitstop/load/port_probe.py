"""What listens at a port that gives no HTTP answer: told from the first bytes that it sends."""

import socket
import ssl
from contextlib import suppress
from typing import Literal

Listener = Literal["nothing", "grpc", "tls", "http", "other"]
_TIMEOUT_S = 3
# An HTTP/2 client's first words, and settings without content: a gRPC server answers with settings of its own.
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_HTTP1 = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_SETTINGS = 4
_FRAME_HEAD = 9


def listener(host: str, port: int) -> Listener:
    """Return what listens there; `other` is what accepts a connection and speaks none of these."""
    try:
        said = _asked(host, port, _HTTP2)
    except OSError:
        return "nothing"
    if len(said) >= _FRAME_HEAD and said[3] == _SETTINGS:
        return "grpc"
    with suppress(OSError):
        if _asked(host, port, _HTTP1).startswith(b"HTTP/"):
            return "http"
    return "tls" if _speaks_tls(host, port) else "other"


def _asked(host: str, port: int, words: bytes) -> bytes:
    """Return the first bytes of what is answered; raise OSError where nobody accepts the connection."""
    with socket.create_connection((host, port), _TIMEOUT_S) as connection:
        with suppress(OSError):
            connection.sendall(words)
            return connection.recv(64)
        return b""


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    # Who it is plays no part here: nothing is sent.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), _TIMEOUT_S) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False
