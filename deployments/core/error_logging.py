"""What is told of a fault of ours: everything to the log, and to the client only where it is to be found there."""

import logging
import uuid

from .errors import InferenceFailed, ServeError

_log = logging.getLogger("pitstop")


def told(name: str, error: Exception, given: str | None) -> ServeError:
    """Return what a client may know of an exception. What failed in the server is logged under the request id."""
    if isinstance(error, InferenceFailed):
        log_once(name, error, given)
    return error if isinstance(error, ServeError) else fault(name, error, given)


def fault(name: str, error: Exception, given: str | None) -> ServeError:
    """Log an exception under the request id that was given, or one made for it."""
    request_id = _shown(given)
    _log.disabled = False  # logging.config.dictConfig, where user code calls it, disables the loggers that there are.
    _log.error("%s: internal error, request id %s", name, request_id, exc_info=error)
    return ServeError(f"internal error; the server log has it under request id {request_id}")


def log_once(name: str, error: InferenceFailed, given: str | None = None) -> None:
    """Log why the model failed on a request, unless that was done, here or in the replica that has the device."""
    if error.logged_as is None:
        request_id = _shown(given)
        _log.disabled = False  # As above.
        _log.error("%s: %s, request id %s", name, error.why, request_id, exc_info=error.cause)
        error.logged(request_id)


def log_unheard(answer: object, ended_by: Exception | None) -> None:
    """Log why the model failed on a request that nobody waits for any more, unless it ended by such a failure."""
    if isinstance(answer, InferenceFailed) and not isinstance(ended_by, InferenceFailed):
        log_once("after its request had ended", answer)


def _shown(given: str | None) -> str:
    """Return an id as it may stand in a log: what a client sends must not write lines of its own there."""
    return given[:128] if given and given.isprintable() else uuid.uuid4().hex
