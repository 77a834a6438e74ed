"""Where the time of one request went, as a Server-Timing header, for a client that sends `pitstop-timing: 1`.

Requests with that header take Serve's way (request_head_cache.py), so that all others pay nothing for it.
"""

import time

import msgspec

from ..core.request import InferRequest
from ..protocol.headers import TIMING
from .bodies import Given, Response


class Timing:
    """The parts of one request's time, from its whole body to its answer."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self._queue_s: float | None = None
        self._forward_s = 0.0

    def watch(self, request: InferRequest) -> InferRequest:
        """Return the request so that this hears of its forwards."""
        return msgspec.structs.replace(request, on_forward=self._on_forward)

    def told(self, reply: Response) -> Response:
        """Return the answer with the header: `queue` and `forward`, if a forward ran here, `rest` and `total`."""
        total_s = time.perf_counter() - self._began_s
        parts = {"total": total_s}
        if self._queue_s is not None:
            parts = {"queue": self._queue_s, "forward": self._forward_s}
            parts |= {"rest": max(0.0, total_s - sum(parts.values())), "total": total_s}
        value = ", ".join(f"{name};dur={1000 * part_s:.3f}" for name, part_s in parts.items())
        return msgspec.structs.replace(reply, headers=(*reply.headers, (b"server-timing", value.encode())))

    def _on_forward(self, waited_s: float, took_s: float) -> None:
        # A large request has several forwards. Its later ones wait while its first one runs.
        self._queue_s = waited_s if self._queue_s is None else min(self._queue_s, waited_s)
        self._forward_s += took_s


def asked(headers: Given) -> Timing | None:
    """Begin to time a request, if its client asks for that."""
    return Timing() if TIMING in headers else None
