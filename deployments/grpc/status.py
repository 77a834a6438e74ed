"""What a gRPC client may be told: each kind of error with its status code, and the sentence that HTTP gives too."""

from typing import Any, Protocol

import grpc

from ..core.errors import ServeError, sentence

_CODES = {
    "unauthorized": grpc.StatusCode.UNAUTHENTICATED,
    "forbidden": grpc.StatusCode.PERMISSION_DENIED,
    "not_found": grpc.StatusCode.NOT_FOUND,
    "queue_full": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "timeout": grpc.StatusCode.DEADLINE_EXCEEDED,
    "not_ready": grpc.StatusCode.UNAVAILABLE,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "out_of_memory": grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class Context(Protocol):
    """What we need of a call's context: both gRPC's own and the one that Serve hands to a replica have it."""

    def set_code(self, code: Any) -> None: ...

    def set_details(self, details: str) -> None: ...

    def trailing_metadata(self) -> Any: ...


def code_of(error: ServeError) -> Any:
    """Return the status code of an error; what has no code of its own is the client's fault or ours, as over HTTP."""
    rest = grpc.StatusCode.INTERNAL if error.status >= 500 else grpc.StatusCode.INVALID_ARGUMENT
    return _CODES.get(error.kind, rest)


def refuse(context: Context, error: ServeError) -> ServeError:
    """Give the call the error's code and its sentence, and return the error.

    A unary method then returns an empty answer, which is not sent: where it raises, Serve logs a traceback. A stream
    has to raise it: through Ray's own proxy a status reaches the client only behind an answer or an exception.
    """
    context.set_code(code_of(error))
    context.set_details(sentence(error))
    return error
