"""What is told of a fault of ours: everything to the log, and to the client only where it is to be found there."""

import logging
import uuid

from .errors import ServeError

_log = logging.getLogger("pitstop")


def fault(name: str, error: Exception, given: str | None) -> ServeError:
    """Log an exception under the request id that was given, or one made for it."""
    request_id = given[:128] if given and given.isprintable() else uuid.uuid4().hex
    _log.error("%s: internal error, request id %s", name, request_id, exc_info=error)
    return ServeError(f"internal error; the server log has it under request id {request_id}")
