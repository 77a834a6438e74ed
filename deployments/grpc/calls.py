"""A model over gRPC: the RPCs of the Open Inference service, each a method that Serve finds by its name.

Serve would send the text of a method's exception, so no method raises: a refusal sets code and details and returns an
empty answer, which gRPC does not send. Requests and answers are bytes (grpc/service.py says why).
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from ..core.error_logging import client_error
from ..core.errors import NotReady, ServeError, TooLarge
from ..core.observation import ObservedProtocol, observing
from ..core.request import Service, infer
from ..http.decompression import bytes_of
from ..protobuf.tensors import check_model, parse, read, render
from ..protobuf.wire import Buffer
from ..protocol.server_metadata import SERVER_NAME
from ..stubs import open_inference_pb2 as pb
from .metadata import model_message, server_message
from .status import Context, refuse
from .stream import answers


class SerializedMessage:
    """An answer that is already serialized. Of a protobuf message Serve only calls SerializeToString."""

    __slots__ = ("_parts",)

    def __init__(self, *parts: Buffer) -> None:
        self._parts = parts

    def SerializeToString(self) -> bytes:  # noqa: N802  # Protobuf's name.
        return b"".join(self._parts)


Handle = Callable[[Service, bytes, Context], Awaitable[Any]]
Method = Callable[..., Any]
Class = TypeVar("Class", bound=type)


class Owner(Protocol):
    """The class that gets the methods: an ingress of a model."""

    service: Service


def servicer(owner: Class) -> Class:
    """Give an ingress class, an Owner, the methods of the gRPC service."""
    for name, method in METHODS.items():
        setattr(owner, name, method)
    return owner


def _method(handle: Handle, guarded: bool = True) -> Method:
    """Make a method as Serve calls it; Serve looks for the argument called grpc_context."""

    async def method(self: Owner, request: bytes, grpc_context: Context) -> Any:
        try:
            if guarded:
                _let_in(self.service, grpc_context)
            return await handle(self.service, request, grpc_context)
        except Exception as error:
            refuse(grpc_context, _counted_error(self.service, grpc_context, error))
        return SerializedMessage()

    return method


async def _server_live(_service: Service, _request: bytes, _context: Context) -> Any:
    return pb.ServerLiveResponse(live=True)


async def _server_ready(service: Service, _request: bytes, _context: Context) -> Any:
    return pb.ServerReadyResponse(ready=service.ready())


async def _server_metadata(_service: Service, _request: bytes, _context: Context) -> Any:
    return server_message(SERVER_NAME)


async def _model_ready(service: Service, request: bytes, _context: Context) -> Any:
    asked = read(pb.ModelReadyRequest, request)
    check_model(service, asked.name, asked.version)
    return pb.ModelReadyResponse(ready=service.ready(asked.version))


async def _model_metadata(service: Service, request: bytes, _context: Context) -> Any:
    asked = read(pb.ModelMetadataRequest, request)
    check_model(service, asked.name, asked.version)
    return model_message(service.metadata(asked.version))


async def _model_infer(service: Service, request: bytes, context: Context) -> Any:
    return SerializedMessage(*await _infer(service, request, context))


async def _model_stream_infer(
    self: Owner, request_stream: AsyncIterator[bytes], grpc_context: Context
) -> AsyncIterator[Any]:
    """Answer each request of a stream, in order; a failure is an answer too, and the stream goes on."""
    infer_one = partial(_infer, self.service, context=grpc_context)
    counted = partial(_counted_error, self.service, grpc_context)
    try:
        _let_in(self.service, grpc_context)
        async for parts in answers(request_stream, infer_one, counted):
            yield SerializedMessage(*parts)
    except Exception as error:
        raise refuse(grpc_context, counted(error)) from None


async def _infer(service: Service, request: bytes, context: Context) -> list[Buffer]:
    limit_mib = service.tunables.max_body_mib
    if len(request) > bytes_of(limit_mib):
        raise TooLarge(limit_mib)
    began = time.perf_counter()
    with observing(_begin(service, context)) as observed:
        checked = parse(service, request, _left_s(context))
        service.counts.count_time("parse", time.perf_counter() - began)
        if observed is not None:
            observed.read(checked.rows, checked.id)
            checked = replace(checked, observed=observed)
        if not service.ready():
            raise NotReady
        result = await infer(service, checked)
        got = time.perf_counter()
        if observed is not None:
            observed.answered()
        parts = render(service, checked, result)
        service.counts.count_time("send", time.perf_counter() - got)
        return parts


def _begin(service: Service, context: Any) -> ObservedProtocol | None:
    if service.observer is None:
        return None
    metadata = dict(context.invocation_metadata() or ())
    return service.observer.begin("ModelInfer", metadata.get("traceparent"), metadata.get("tracestate"))


def _let_in(service: Service, context: Any) -> None:
    if service.authenticator is not None:
        service.authenticator.check_metadata(context.invocation_metadata())


def _counted_error(service: Service, context: Context, error: Exception) -> ServeError:
    """Count an exception, and return the error that the client gets."""
    known = client_error(service.name, error, _request_id(context))
    service.counts.count_failure(known.kind)
    return known


def _left_s(context: Any) -> float | None:
    """Return the time until the client's deadline. Serve's context has none; it cancels the call in time."""
    left: float | None = context.time_remaining() if hasattr(context, "time_remaining") else None
    return left


def _request_id(context: Context) -> str | None:
    """Return the request id that is sent after the answer: the client's, or one that Serve made."""
    return next((value for name, value in context.trailing_metadata() or () if name == "request_id"), None)


METHODS: dict[str, Method] = {
    "ServerLive": _method(_server_live, guarded=False),
    "ServerReady": _method(_server_ready, guarded=False),
    "ServerMetadata": _method(_server_metadata),
    "ModelReady": _method(_model_ready, guarded=False),
    "ModelMetadata": _method(_model_metadata),
    "ModelInfer": _method(_model_infer),
    "ModelStreamInfer": _model_stream_infer,
}
