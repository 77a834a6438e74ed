"""The gRPC proxy, for clients that know nothing of Ray Serve: a server in the root application.

Serve's own gRPC port picks the application by request metadata that no Open Inference client sends. This proxy reads
the model's name out of each message and posts the bytes as they are to that model over HTTP: HAProxy balances them, the
replica answers on its short path, and a stream may name another model in each message. Calling the replica by gRPC
instead takes 1.6 times as long (benchmarks/results/grpc_*.json).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from configs.drain import drain_s

from ..auth.authenticator import Authenticator, authorization
from ..bind_addresses import LOCAL, on
from ..core.error_logging import internal_error
from ..core.errors import NotFound, NotReady, ServeError
from ..http_client.request import Headers
from ..model_client import ModelClient, ModelLocator
from ..protobuf.tensors import read
from ..protobuf.wire import text
from ..stubs import open_inference_pb2 as pb
from .metadata import model_message, server_message
from .service import add_to_server
from .status import refuse
from .stream import answers

_NAME = 1
# A call is passed on as soon as it is there, so it has reached Serve's port by then.
_SENT_WITHIN_S = 1.0
# Serve's own limit on the size of messages, by default 2 GiB.
_MOST_BYTES = int(os.environ.get("RAY_SERVE_GRPC_MAX_MESSAGE_SIZE") or 2**31 - 1)
_OPTIONS = [
    ("grpc.max_send_message_length", _MOST_BYTES),
    ("grpc.max_receive_message_length", _MOST_BYTES),
    # Clients may ping every ten seconds; gRPC's default allows one ping in five minutes.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]
_PASSED_ON = {
    "request_id": "x-request-id",
    "traceparent": "traceparent",
    "tracestate": "tracestate",
    "authorization": "authorization",  # The model's replica checks it.
}


class GrpcProxy:
    """The server. Its public methods are the RPCs, by their names."""

    def __init__(
        self,
        locator: ModelLocator,
        server_name: str,
        ready: Callable[[], Awaitable[bool]],
        authenticator: Authenticator | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._models = ModelClient(locator)
        self._server_name = server_name
        self._ready = ready
        self._server: Any = None
        self._refusing: asyncio.Task[None] | None = None

    async def start(self, port: int, host: str = LOCAL) -> None:
        """Listen; raises RuntimeError if the port is taken or the address is not this machine's."""
        self._server = grpc.aio.server(options=_OPTIONS)
        add_to_server(self, self._server)
        try:
            self._server.add_insecure_port(on(host, port))
        except RuntimeError as error:
            raise RuntimeError(
                f"the root application cannot listen on grpc_port {port}\n"
                f"help: end what listens there, or change it; {host} must be an address of this machine"
            ) from error
        await self._server.start()

    async def refuse(self) -> None:
        """Take no more calls, and go on with those under way; return when all have ended, or after a second.

        Whether each has reached Serve's port by then, which may close next, is not looked at.
        """
        # The same for every stop: of several, gRPC keeps to the one that ends first.
        self._refusing = asyncio.get_running_loop().create_task(self._server.stop(drain_s(os.environ)))
        await asyncio.wait([self._refusing], timeout=_SENT_WITHIN_S)

    async def stop(self) -> None:
        """Take no more calls, and finish those under way."""
        await self._server.stop(drain_s(os.environ))
        self._models.close()

    async def ServerLive(self, _request: bytes, _context: Any) -> bytes:  # noqa: N802
        return _written(pb.ServerLiveResponse(live=True))

    async def ServerReady(self, _request: bytes, context: Any) -> bytes:  # noqa: N802
        return await self._answer_or_refuse(context, self._server_ready())

    async def ServerMetadata(self, _request: bytes, context: Any) -> bytes:  # noqa: N802
        return await self._answer_or_refuse(context, self._server_metadata(context))

    async def ModelReady(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        return await self._answer_or_refuse(context, self._model_ready(request))

    async def ModelMetadata(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        return await self._answer_or_refuse(context, self._model_metadata(request, context))

    async def ModelInfer(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        return await self._answer_or_refuse(context, self._infer(request, context))

    async def ModelStreamInfer(  # noqa: N802
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        async def infer(request: bytes) -> list[bytes]:
            return [await self._infer(request, context)]

        try:
            async for parts in answers(requests, infer, lambda error: self._client_error(error, context)):
                yield b"".join(parts)
        except Exception as error:  # gRPC would send its text.
            refuse(context, self._client_error(error, context))

    async def _server_metadata(self, context: Any) -> bytes:
        if self._authenticator is not None:
            self._authenticator.check_metadata(context.invocation_metadata())
        return _written(server_message(self._server_name))

    async def _server_ready(self) -> bytes:
        return _written(pb.ServerReadyResponse(ready=await self._ready()))

    async def _model_ready(self, request: bytes) -> bytes:
        asked = read(pb.ModelReadyRequest, request)
        return _written(pb.ModelReadyResponse(ready=await self._models.ready(asked.name, asked.version)))

    async def _model_metadata(self, request: bytes, context: Any) -> bytes:
        asked, left_s = read(pb.ModelMetadataRequest, request), context.time_remaining()
        return _written(
            model_message(await self._models.metadata(asked.name, asked.version, _headers(context), left_s))
        )

    async def _infer(self, request: bytes, context: Any) -> bytes:
        [name] = text(request, _NAME)
        return await self._models.infer(name, request, _headers(context), context.time_remaining())

    async def _answer_or_refuse(self, context: Any, answer: Awaitable[bytes]) -> bytes:
        """Await an answer; if it fails, end the call with the error that the client gets."""
        try:
            return await answer
        except Exception as error:
            refuse(context, self._client_error(error, context))
        return b""

    def _client_error(self, error: Exception, context: Any) -> ServeError:
        """Return the error that the client gets. Our own errors name other models, so they need a token."""
        if self._authenticator is not None and isinstance(error, NotFound | NotReady):
            return self._authenticator.refusal(authorization(context.invocation_metadata())) or error
        return error if isinstance(error, ServeError) else internal_error("the gRPC proxy", error, None)


def _headers(context: Any) -> Headers:
    """Return the metadata to pass on as headers; a line break in it would add headers of its own."""
    return [
        (_PASSED_ON[name], value)
        for name, value in context.invocation_metadata() or ()
        if name in _PASSED_ON and value.isascii() and value.isprintable()
    ]


def _written(message: Any) -> bytes:
    written: bytes = message.SerializeToString()
    return written
