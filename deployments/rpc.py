"""A model over gRPC: the RPCs of the Open Inference service, each a method that Serve finds by its name.

Serve answers a method's exception with its text, so none is let out: a refusal sets code and details and returns an
empty answer, which gRPC then does not send. Requests come as bytes (rpc_service.py says why), and answers go as bytes.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

import orjson

from .about import EXTENSIONS_GRPC, SERVER_NAME, server_metadata
from .errors import NotFound, NotReady, ServeError, TooLarge, show
from .fault import fault
from .inference import Service
from .ordered import STREAM_AT_ONCE, in_order
from .rpc_status import Context, refuse
from .rpc_stream import answered, failed
from .rpc_tensors import parse, read, render, take_apart
from .rpc_wire import Buffer
from .stubs import open_inference_pb2 as pb

_MIB = 1024 * 1024


class Packed:
    """An answer already written. Serve asks it to serialize itself, and needs nothing else of a protobuf message."""

    __slots__ = ("_parts",)

    def __init__(self, *parts: Buffer) -> None:
        self._parts = parts

    def SerializeToString(self) -> bytes:  # noqa: N802  # Protobuf's name.
        return b"".join(self._parts)


_METADATA = ("name", "versions", "platform", "inputs", "outputs")
Handle = Callable[[Service, bytes], Awaitable[Any]]
Method = Callable[..., Any]
Class = TypeVar("Class", bound=type)


class Owner(Protocol):
    """What the methods are methods of: an ingress of a model."""

    service: Service


def servicer(owner: Class) -> Class:
    """Give an ingress class, an Owner, the methods of the gRPC service."""
    for name, method in METHODS.items():
        setattr(owner, name, method)
    return owner


def _method(handle: Handle) -> Method:
    """Make a method as Serve calls it; Serve looks for the argument called grpc_context."""

    async def method(self: Owner, request: bytes, grpc_context: Context) -> Any:
        try:
            return await handle(self.service, request)
        except Exception as error:
            refuse(grpc_context, _told(self.service, error, grpc_context))
        return Packed()

    return method


async def _server_live(_service: Service, _request: bytes) -> Any:
    return pb.ServerLiveResponse(live=True)


async def _server_ready(service: Service, _request: bytes) -> Any:
    return pb.ServerReadyResponse(ready=service.ready())


async def _server_metadata(_service: Service, _request: bytes) -> Any:
    return pb.ServerMetadataResponse(**server_metadata(SERVER_NAME, EXTENSIONS_GRPC))


async def _model_ready(service: Service, request: bytes) -> Any:
    asked = read(pb.ModelReadyRequest, request)
    _check_model(service, asked.name, asked.version)
    return pb.ModelReadyResponse(ready=service.ready())


async def _model_metadata(service: Service, request: bytes) -> Any:
    asked = read(pb.ModelMetadataRequest, request)
    _check_model(service, asked.name, asked.version)
    found = service.metadata()
    properties = {name: _as_text(value) for name, value in found.get("properties", {}).items()}
    described = {name: found[name] for name in _METADATA if name in found}
    return pb.ModelMetadataResponse(**described, properties=properties)


async def _model_infer(service: Service, request: bytes) -> Any:
    return Packed(*await _infer(service, request))


async def _model_stream_infer(
    self: Owner, request_stream: AsyncIterator[bytes], grpc_context: Context
) -> AsyncIterator[Any]:
    """Answer each request of a stream, in their order; one that fails is told in its answer, and the stream goes on."""

    async def answer(request: bytes) -> Packed:
        try:
            return Packed(*answered(await _infer(self.service, request)))
        except Exception as error:
            return Packed(*failed(_told(self.service, error, grpc_context), request))

    try:
        async for each in in_order(request_stream, answer, STREAM_AT_ONCE):
            yield each
    except Exception as error:
        refuse(grpc_context, _told(self.service, error, grpc_context))


async def _infer(service: Service, request: bytes) -> list[Buffer]:
    limit_mib = service.tunables.max_body_mib
    if len(request) > limit_mib * _MIB:
        raise TooLarge(limit_mib)
    began = time.perf_counter()
    head, raws = take_apart(request)
    _check_model(service, head.model_name, head.model_version)
    checked = parse(head, raws, service.signature)
    parsed = time.perf_counter()
    if not service.ready():
        raise NotReady
    outputs = await service.infer(checked)
    got = time.perf_counter()
    parts = render(service.name, service.version, checked, outputs)
    service.timed(parsed - began, time.perf_counter() - got)
    return parts


def _check_model(service: Service, name: str, version: str) -> None:
    if name != service.name:
        raise NotFound(f"the application asked serves model {service.name!r}, not {show(name)}")
    if version not in ("", service.version):
        raise NotFound(f"model {name!r} has version {service.version!r}, not {show(version)}")


def _told(service: Service, error: Exception, context: Context) -> ServeError:
    """Count an exception, and return what the client may know of it."""
    told = error if isinstance(error, ServeError) else fault(service.name, error, _request_id(context))
    service.failed(told.kind)
    return told


def _request_id(context: Context) -> str | None:
    """Return the id that Serve gave the request and sends back behind the answer."""
    return next((value for name, value in context.trailing_metadata() or () if name == "request_id"), None)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


METHODS: dict[str, Method] = {
    "ServerLive": _method(_server_live),
    "ServerReady": _method(_server_ready),
    "ServerMetadata": _method(_server_metadata),
    "ModelReady": _method(_model_ready),
    "ModelMetadata": _method(_model_metadata),
    "ModelInfer": _method(_model_infer),
    "ModelStreamInfer": _model_stream_infer,
}
