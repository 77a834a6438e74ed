"""The gRPC front, for clients that know nothing of Ray Serve: a server in the root application.

Serve's gRPC port picks the application by request metadata that no Open Inference client sends. The front reads the
model's name out of each message, and passes the bytes on as they are with that metadata. A stream may name another
model in each of its messages, so each goes on as a call of its own. What of an error is not ours is replaced
(rpc_status.py).
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import grpc
from ray.serve._private.constants import DEFAULT_GRPC_SERVER_OPTIONS

from .about import EXTENSIONS_GRPC, server_metadata
from .errors import BadRequest, NotReady, QueueFull, ServeError, TimedOut
from .fault import fault
from .ordered import STREAM_AT_ONCE, in_order
from .rpc_service import add_to_server
from .rpc_status import MARK, end, refuse
from .rpc_stream import answered, failed
from .rpc_wire import text
from .stubs import open_inference_pb2 as pb
from .upstream import Upstream

_NAME = 1
# What configs.schema allows as a name; anything else could not even be sent as metadata.
_A_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_PASSED_ON = ("application", "user-agent")
_READY_WITHIN_S = 2.0
_STOP_WITHIN_S = 10.0
_OPTIONS = [
    *DEFAULT_GRPC_SERVER_OPTIONS,  # Serve's own limit on the size of messages, 2 GiB where nobody lowered it.
    # Clients may ask every ten seconds whether the server is there; gRPC itself allows a ping in five minutes.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]


class Running(Protocol):
    """What the front needs to know of what Serve runs; running.Running is one."""

    async def grpc_address(self) -> str: ...

    async def absent(self, name: str) -> ServeError: ...


class Front:
    """The server, and the connections to Serve's port behind it. Its methods are the RPCs, by their names."""

    def __init__(self, running: Running, server_name: str, ready: Callable[[], Awaitable[bool]]) -> None:
        self._running = running
        self._server_name = server_name
        self._ready = ready
        self._server: Any = None
        self._upstream: Upstream | None = None

    async def start(self, port: int) -> None:
        """Listen; raises RuntimeError where the port is taken."""
        self._server = grpc.aio.server(options=_OPTIONS)
        add_to_server(self, self._server)
        try:
            self._server.add_insecure_port(f"[::]:{port}")
        except RuntimeError as error:
            raise RuntimeError(
                f"the root application cannot listen on grpc_port {port}\nhelp: end what listens there, or change it"
            ) from error
        await self._server.start()

    async def stop(self) -> None:
        """Take no more calls, and let those under way come to their end."""
        await self._server.stop(_STOP_WITHIN_S)
        if self._upstream is not None:
            await self._upstream.close()

    async def ServerLive(self, _request: bytes, _context: Any) -> bytes:  # noqa: N802
        return _written(pb.ServerLiveResponse(live=True))

    async def ServerReady(self, _request: bytes, _context: Any) -> bytes:  # noqa: N802
        return _written(pb.ServerReadyResponse(ready=await self._ready()))

    async def ServerMetadata(self, _request: bytes, _context: Any) -> bytes:  # noqa: N802
        return _written(pb.ServerMetadataResponse(**server_metadata(self._server_name, EXTENSIONS_GRPC)))

    async def ModelReady(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        return await _told(context, self._model_ready(request, context))

    async def ModelMetadata(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        return await _told(context, self._pass_on("ModelMetadata", request, context))

    async def ModelInfer(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        return await _told(context, self._pass_on("ModelInfer", request, context))

    async def ModelStreamInfer(  # noqa: N802
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        async def answer(request: bytes) -> bytes:
            try:
                return b"".join(answered([await self._pass_on("ModelInfer", request, context)]))
            except Exception as error:
                return b"".join(failed(_serve_error(error), request))

        async for each in in_order(requests, answer, STREAM_AT_ONCE):
            yield each

    async def _model_ready(self, request: bytes, context: Any) -> bytes:
        try:
            return await self._pass_on("ModelReady", request, context, _READY_WITHIN_S)
        except (NotReady, TimedOut):  # It is here, so "no" is an answer; Serve may hold calls back while it starts.
            return _written(pb.ModelReadyResponse(ready=False))

    async def _pass_on(self, method: str, request: bytes, context: Any, within_s: float | None = None) -> bytes:
        """Return the model's answer.

        Raises:
            grpc.aio.AioRpcError: the model refused, in words of ours.
            ServeError: it was not reached.
        """
        [name] = text(request, _NAME)
        if not name:
            raise BadRequest("the message names no model")
        if not _A_NAME.fullmatch(name):
            raise await self._running.absent(name)
        upstream = self._upstream or await self._connect()
        left_s = context.time_remaining()
        timeout_s = within_s if left_s is None else min(left_s, within_s or left_s)
        passed_on = [each for each in context.invocation_metadata() or () if each[0] not in _NOT_PASSED_ON]
        try:
            return await upstream.call(method, request, name, passed_on, timeout_s)
        except grpc.aio.AioRpcError as error:
            if MARK in (error.trailing_metadata() or {}):
                raise
            raise await self._in_our_words(error, name) from error

    async def _connect(self) -> Upstream:
        address = await self._running.grpc_address()
        # Another call may have connected meanwhile.
        if self._upstream is None:
            self._upstream = Upstream(address)
        return self._upstream

    async def _in_our_words(self, error: Any, name: str) -> ServeError:
        """Return what is told of an error that Serve, HAProxy or gRPC worded."""
        code = error.code()
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimedOut()
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return QueueFull(1)
        if code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            return await self._running.absent(name)
        return fault(name, error, None)


async def _told(context: Any, answer: Awaitable[bytes]) -> bytes:
    """Await an answer; where there is none, end the call with what the client may know."""
    try:
        return await answer
    except grpc.aio.AioRpcError as error:
        end(context, error.code(), error.details(), error.trailing_metadata()[MARK])
    except Exception as error:
        refuse(context, _serve_error(error))
    return b""


def _serve_error(error: Exception) -> ServeError:
    if isinstance(error, ServeError):
        return error
    if isinstance(error, grpc.aio.AioRpcError):
        return ServeError(error.details())
    return fault("the gRPC front", error, None)


def _written(message: Any) -> bytes:
    written: bytes = message.SerializeToString()
    return written
