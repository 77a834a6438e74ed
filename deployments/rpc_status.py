"""What a gRPC client may be told: each kind of error with its status code, and a mark that the sentence is ours.

The mark, a trailing metadatum, lets the front pass our sentences on and put its own in place of those that Serve,
HAProxy or gRPC wrote, which hold exception text and addresses.
"""

from typing import Any, Protocol

import grpc

from .errors import ServeError

MARK = "pitstop-error"

_CODES = {
    "not_found": grpc.StatusCode.NOT_FOUND,
    "queue_full": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "timeout": grpc.StatusCode.DEADLINE_EXCEEDED,
    "not_ready": grpc.StatusCode.UNAVAILABLE,
}


class Context(Protocol):
    """What we need of a call's context: both gRPC's own and the one that Serve hands to a replica have it."""

    def set_code(self, code: Any) -> None: ...

    def set_details(self, details: str) -> None: ...

    def trailing_metadata(self) -> Any: ...

    def set_trailing_metadata(self, trailing_metadata: Any) -> None: ...


def code_of(error: ServeError) -> Any:
    """Return the status code of an error; what has no code of its own is the client's fault or ours, as over HTTP."""
    rest = grpc.StatusCode.INTERNAL if error.status >= 500 else grpc.StatusCode.INVALID_ARGUMENT
    return _CODES.get(error.kind, rest)


def refuse(context: Context, error: ServeError) -> None:
    """End the call with the error's code and its sentence. Returning, not raising: Serve would log a traceback."""
    end(context, code_of(error), sentence(error), error.kind)


def end(context: Context, code: Any, details: str, kind: str) -> None:
    context.set_code(code)
    context.set_details(details)
    # Serve keeps its request id beside what is set here.
    context.set_trailing_metadata([(MARK, kind)])


def sentence(error: ServeError) -> str:
    """Return what the client is told; strings that UTF-8 cannot write must not turn a refusal into a fault."""
    return error.message.encode("utf-8", "replace").decode()
