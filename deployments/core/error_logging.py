"""Errors inside the server: the log gets everything, the client only the request id to find it by."""

import logging
import uuid

from .errors import InferenceFailed, ServeError

_log = logging.getLogger("pitstop")


def client_error(name: str, error: Exception, given: str | None) -> ServeError:
    """Return the error that the client gets for an exception. What failed in the server is logged."""
    if isinstance(error, InferenceFailed):
        log_once(name, error, given)
    return error if isinstance(error, ServeError) else internal_error(name, error, given)


def internal_error(name: str, error: Exception, given: str | None) -> ServeError:
    """Log an exception under the request id, or one made for it, and return an error that names only that id."""
    request_id = _printable(given)
    _log.disabled = False  # logging.config.dictConfig, where user code calls it, disables the loggers that there are.
    _log.error("%s: internal error, request id %s", name, request_id, exc_info=error)
    return ServeError(f"internal error; the server log has it under request id {request_id}")


def log_once(name: str, error: InferenceFailed, given: str | None = None) -> None:
    """Log why the model failed on a request, unless this replica or the one with the device has logged it."""
    if error.logged_as is None:
        request_id = _printable(given)
        _log.disabled = False  # As above.
        _log.error("%s: %s, request id %s", name, error.why, request_id, exc_info=error.cause)
        error.logged(request_id)


def log_unheard(answer: object, ended_by: Exception | None) -> None:
    """Log why the model failed on a request that has already ended, unless it ended by such a failure."""
    if isinstance(answer, InferenceFailed) and not isinstance(ended_by, InferenceFailed):
        log_once("after its request had ended", answer)


def _printable(given: str | None) -> str:
    """Return the id if it is printable, else a new one: a client must not write lines of its own into the log."""
    return given[:128] if given and given.isprintable() else uuid.uuid4().hex
