"""The errors that a client may get, each with its HTTP status. No other exception's text, and no traceback, leaves.

In the order of a request's life: the token (401, 403), path and method (404, 405), encoding and size of the body (415,
413), its content (400), the queue (503), the forward (500, or 503 if the device is unhealthy), the deadline (408). Any
other exception is an internal error: error_logging.py logs it, and the client gets 500 and the id to find it by.
"""

# ruff: noqa: N818  # The names say what happened, as HTTP's own do; each has its status beside it.

import reprlib
from collections.abc import Callable, Iterable

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxdict = 8
_SHORT.maxlevel = 3

_MOST_TOLD = 1000
Headers = tuple[tuple[bytes, bytes], ...]


class ServeError(Exception):
    """A sentence for the client. `kind` labels it in the metrics.

    `args` are the arguments of the class: with BY_KIND they make the same error again in another process.
    """

    status = 500
    kind = "internal"

    def __init__(self, message: str, headers: Headers = ()) -> None:
        # Exception's own __init__ would put the message in place of `args`.
        self.message = message
        self.headers = headers

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Callable[..., "ServeError"], tuple[object, ...]]:
        """Ray's own proxy gets a stream's error by pickle, which would call our __init__ if this were not here."""
        return known, (self.kind, self.status, self.message)


class BadRequest(ServeError):
    status, kind = 400, "bad_request"


class Unauthorized(ServeError):
    status, kind = 401, "unauthorized"

    def __init__(self) -> None:
        super().__init__(
            "a token is needed: send the header `Authorization: Bearer TOKEN`", ((b"www-authenticate", b"Bearer"),)
        )


class Forbidden(ServeError):
    status, kind = 403, "forbidden"

    def __init__(self) -> None:
        super().__init__("this token is valid for other models, not for this one")


class NotFound(ServeError):
    status, kind = 404, "not_found"


class MethodNotAllowed(ServeError):
    status, kind = 405, "method_not_allowed"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        names = ", ".join(allowed)
        super().__init__(f"this path takes {names}, not {method}", ((b"allow", names.encode()),))


class TimedOut(ServeError):
    status, kind = 408, "timeout"

    def __init__(self) -> None:
        super().__init__("no answer within the time allowed: try again, send fewer rows, or allow a longer timeout")


class TooLarge(ServeError):
    status, kind = 413, "too_large"

    def __init__(self, limit_mib: float) -> None:
        super().__init__(f"the body is larger than {limit_mib:g} MiB, the limit of this model: send fewer rows at once")


class UnsupportedEncoding(ServeError):
    status, kind = 415, "unsupported_encoding"

    def __init__(self, encoding: str) -> None:
        message = f"the body's Content-Encoding is {show(encoding)}: send gzip, deflate or none"
        super().__init__(message, ((b"accept-encoding", b"gzip, deflate"),))


class RetryLater(ServeError):
    """Refused for now; Retry-After tells the client in how many seconds to try again."""

    status = 503
    why = "the server is busy"

    def __init__(self, retry_after_s: int) -> None:
        retry_after = str(retry_after_s).encode()
        super().__init__(f"{self.why}: try again in {retry_after_s} s", ((b"retry-after", retry_after),))


class QueueFull(RetryLater):
    kind = "queue_full"
    why = "the queue is full"


class Unavailable(RetryLater):
    kind = "unavailable"
    why = "this replica is unhealthy"


class NotReady(ServeError):
    status, kind = 503, "not_ready"

    def __init__(
        self,
        message: str = "the model is not ready: wait until its /ready answers 200",
        headers: Headers = ((b"retry-after", b"1"),),
    ) -> None:
        super().__init__(message, headers)


class OtherVersion(NotReady):
    """A device's answer to a block from an ingress replica of another config; a client gets it only as not ready."""

    kind = "other_version"


class InferenceFailed(ServeError):
    """User code raised on one request, or returned a wrong value; the log says why, once, under a request id.

    `logged_as` is that id. `cause` is dropped once it is logged, since its traceback keeps the forward's tensors.
    """

    status, kind = 500, "inference_failed"
    why = "the model failed"
    sentence = "the model failed on this input: the server log has it under request id {id}"

    def __init__(self, cause: Exception | None = None, logged_as: str | None = None) -> None:
        super().__init__(self.sentence)
        self.args = (None, None)  # The cause must not stay in them.
        self.cause = cause
        self.logged_as: str | None = None
        if logged_as is not None:
            self.logged(logged_as)

    def logged(self, request_id: str) -> None:
        """Note the request id under which the log has it."""
        self.logged_as, self.cause, self.args = request_id, None, (None, request_id)
        self.message = self.sentence.format(id=request_id)


class NotFinite(InferenceFailed):
    kind = "not_finite"
    why = "the model gave NaN or infinity"
    sentence = "the model gave NaN or infinity for this input: check the input's values"


class OutOfMemory(InferenceFailed):
    status, kind = 503, "out_of_memory"
    why = "a row does not fit into memory, even alone"
    sentence = "a row of this request does not fit into the server's memory, even alone: send a smaller one"


class OutOfMemoryTogether(OutOfMemory):
    kind = "out_of_memory_together"
    why = "the rows of a request do not fit into memory together"
    sentence = "the rows of this request do not fit into the server's memory together: send fewer, or smaller ones"


# Errors that one replica may send to another: the device's to an ingress replica, the canary's to the stable version.
BY_KIND: dict[str, Callable[..., ServeError]] = {
    each.kind: each
    for each in (
        ServeError,
        BadRequest,
        TimedOut,
        QueueFull,
        InferenceFailed,
        NotFinite,
        OutOfMemory,
        OutOfMemoryTogether,
        Unavailable,
        NotReady,
        OtherVersion,
    )
}


def _every(kind: type[ServeError]) -> Iterable[type[ServeError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _every(each)


# Counted for `unauthorized` and `forbidden` where the request says that a page of the server asks: any client may
# say so, and guesses of tokens must leave a trace.
PAGE_REFUSED = "page_refused"
# What is counted. A metric has a series for each from the start.
KINDS = tuple(sorted({each.kind for each in _every(ServeError)} - {OtherVersion.kind} | {PAGE_REFUSED}))


def known(kind: str, status: int, message: str) -> ServeError:
    """Make an error again that another process has sent."""
    error = ServeError(message)
    error.kind, error.status = kind, status
    return error


def sentence(error: ServeError) -> str:
    """Return the text for the client, bounded: over gRPC it has to fit into 8 KiB of metadata.

    A string that UTF-8 cannot encode must not turn a refusal into an internal error.
    """
    message = error.message if len(error.message) <= _MOST_TOLD else f"{error.message[:_MOST_TOLD]}…"
    return message.encode("utf-8", "replace").decode()


def show(value: object) -> str:
    """Return a short form of a client's value, for an error's text."""
    return _SHORT.repr(value)
