"""What is told of a fault of ours: everything to the log, and to the client only where it is to be found there."""

import logging
import uuid

from .errors import InferenceFailed, ServeError

_log = logging.getLogger("pitstop")


def told(name: str, error: Exception, given: str | None) -> ServeError:
    """Return what a client may know of an exception. What failed in the server is logged under the request id."""
    if isinstance(error, InferenceFailed) and given:
        _log.error("%s: the model failed on request id %s", name, _shown(given))
    return error if isinstance(error, ServeError) else fault(name, error, given)


def fault(name: str, error: Exception, given: str | None) -> ServeError:
    """Log an exception under the request id that was given, or one made for it."""
    request_id = _shown(given)
    _log.error("%s: internal error, request id %s", name, request_id, exc_info=error)
    return ServeError(f"internal error; the server log has it under request id {request_id}")


def _shown(given: str | None) -> str:
    """Return an id as it may stand in a log: what a client sends must not write lines of its own there."""
    return given[:128] if given and given.isprintable() else uuid.uuid4().hex
