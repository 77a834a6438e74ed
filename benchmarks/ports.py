"""Ports that nothing listens on, and the wait for something to listen."""

import http.client

from pitstop.ports import free_port

__all__ = ["answers", "free_port"]


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
