"""Sends prepared gRPC requests: raw bytes over generic calls, so that no generated code is needed.

gRPC's own machinery costs the client some ten times what an HTTP request does; the report says when that is the limit.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from .outcome import TIMEOUT, WRONG, Check, Done, Failure
from .sender_http import Address
from .token import token_metadata

METHOD = "/inference.GRPCInferenceService/ModelInfer"
_CHANNELS = 4
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Else all channels to one address share a connection.
    ("grpc.use_local_subchannel_pool", 1),
)


class GrpcSender:
    """A few channels to one server. Satisfies outcome.Sender. With a `check`, a wrong answer is a failure."""

    def __init__(
        self, address: Address, model: str, requests: Sequence[bytes], timeout_s: float, check: Check | None = None
    ) -> None:
        self._address = address
        # Ray Serve's own gRPC port asks for it; other servers take no notice.
        self._metadata = (("application", model), *token_metadata())
        self._requests = requests
        self._timeout_s = timeout_s
        self._check = check
        self._channels: list[Any] = []
        self._calls: list[Any] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.queued = 0

    @property
    def port(self) -> int:
        return self._address.port

    async def open(self, connections: int) -> None:
        import grpc

        where = f"{self._address.host}:{self._address.port}"
        for _ in range(max(1, min(connections, _CHANNELS))):
            channel = grpc.aio.insecure_channel(where, options=_OPTIONS)
            self._channels.append(channel)
            self._calls.append(channel.unary_unary(METHOD))

    def send(self, number: int, done: Done) -> None:
        task = asyncio.get_running_loop().create_task(self._call(number, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def refusal(self) -> str:
        """Send the first request and return what the server says against it; empty where it answers."""
        import grpc

        try:
            await self._calls[0](self._requests[0], timeout=self._timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            return f"{error.code().name} {error.details()}"
        return ""

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for channel in self._channels:
            await channel.close()

    async def _call(self, number: int, done: Done) -> None:
        import grpc

        call = self._calls[number % len(self._calls)]
        request = self._requests[number % len(self._requests)]
        try:
            answer = await call(request, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            done(number, _failure(error.code().name))
        else:
            done(number, None if self._check is None or self._check(number, answer) else Failure(WRONG))


def _failure(code: str) -> Failure:
    if code == "DEADLINE_EXCEEDED":
        return Failure(TIMEOUT)
    # A server that is full or going away may be asked again; the protocol names no time.
    return Failure(f"gRPC {code}", 0.1 if code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED") else None)
