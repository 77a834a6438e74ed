"""Where the time of one request went, as a Server-Timing header, for a client that sends `pitstop-timing: 1`.

Requests with that header take Serve's way (request_head_cache.py), so that all others pay nothing for it.
"""

import msgspec

from ..core.observation import ObservedProtocol, Times
from ..protocol.headers import TIMING
from .bodies import Given, Response


def asked(headers: Given) -> Times | None:
    """Begin to time a request, if its client asks for that."""
    return Times() if TIMING in headers else None


def told(reply: Response, headers: Given, observed: ObservedProtocol | None) -> Response:
    """Return the answer, with the header if its client asks for that."""
    if observed is None or TIMING not in headers:
        return reply
    value = ", ".join(f"{name};dur={1000 * part_s:.3f}" for name, part_s in observed.parts().items())
    return msgspec.structs.replace(reply, headers=(*reply.headers, (b"server-timing", value.encode())))
