"""The short path over gRPC: the replica's own gRPC server answers, ahead of Serve's wrapper.

A small call takes 0.57 ms of a replica's time here and 0.77 ms through the wrapper (benchmarks/results/grpc_*.json,
64 at once); most of the 0.57 ms is gRPC's own. The batcher and ../serve_request_counter.py do what the wrapper did.
The same line of the YAML switches it on as over HTTP; without it, or in Ray's own proxy, calls go Serve's way.
"""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..core.errors import ServeError
from ..core.request import Service
from ..serve_request_counter import RequestCounter
from .calls import METHODS, Method

_REQUEST_ID = "request_id"
_STREAM = "ModelStreamInfer"
_offered: list[Service] = []


class _Owner(NamedTuple):
    service: Service


def offer(service: Service) -> None:
    """Let this process's gRPC server answer for a model on the short path."""
    _offered[:] = [service]


def servicer(counter: RequestCounter) -> Any:
    """Return the RPCs of the model offered, by name, as gRPC calls them; None where this process offers none."""
    if not _offered:
        return None
    owner = _Owner(_offered[0])
    unary = {name: _unary(method, owner, counter) for name, method in METHODS.items() if name != _STREAM}
    return SimpleNamespace(**unary, **{_STREAM: _stream(METHODS[_STREAM], owner, counter)})


def _unary(method: Method, owner: _Owner, counter: RequestCounter) -> Any:
    async def called(request: bytes, context: Any) -> bytes:
        began = counter.begin()
        try:
            _echo(context)
            answer = await method(owner, request, context)
            written: bytes = answer.SerializeToString()
            return written
        finally:
            counter.end(began)

    return called


def _stream(method: Method, owner: _Owner, counter: RequestCounter) -> Any:
    async def called(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        began = counter.begin()
        try:
            _echo(context)
            async for answer in method(owner, requests, context):
                yield answer.SerializeToString()
        except ServeError:
            pass  # The context has it; gRPC would add the name of its class.
        finally:
            counter.end(began)

    return called


def _echo(context: Any) -> None:
    """Send a request id back behind the answer, as Serve does."""
    for name, value in context.invocation_metadata() or ():
        if name == _REQUEST_ID:
            context.set_trailing_metadata(((_REQUEST_ID, value),))
