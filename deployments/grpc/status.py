"""The gRPC status code of each kind of error; the text is the same as over HTTP."""

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
    "out_of_memory_together": grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class Context(Protocol):
    """The part of a call's context that we use; gRPC's own and the one that Serve passes to a replica both have it."""

    def set_code(self, code: Any) -> None: ...

    def set_details(self, details: str) -> None: ...

    def trailing_metadata(self) -> Any: ...


def code_of(error: ServeError) -> Any:
    """Return the status code of an error; an error without a code of its own gets one by its HTTP status."""
    rest = grpc.StatusCode.INTERNAL if error.status >= 500 else grpc.StatusCode.INVALID_ARGUMENT
    return _CODES.get(error.kind, rest)


def refuse(context: Context, error: ServeError) -> ServeError:
    """Give the call the error's code and its text, and return the error.

    A unary method then returns an empty answer, which is not sent: if it raised, Serve would log a traceback. A stream
    has to raise the error: through Ray's own proxy a status reaches the client only after an answer or an exception.
    """
    context.set_code(code_of(error))
    context.set_details(sentence(error))
    return error
