"""Ports that nothing listens on, and the wait for something to listen."""

import http.client
import socket


def free_port(run: int = 1) -> int:
    """Return the first of `run` adjacent free ports."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
        if all(_is_free(port + offset) for offset in range(run)):
            return port


def answers(port: int, path: str) -> bool:
    """Tell whether GET on this path is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
