"""Serve's own gRPC port, seen from the front: bytes in, bytes out, the application named in the metadata."""

import itertools
from collections.abc import Sequence
from typing import Any

import grpc

from .rpc_service import SERVICE, path

# HAProxy takes 100 calls at a time on a connection, RAY_SERVE_HAPROXY_H2_FE_MAX_CONCURRENT_STREAMS; more would wait.
_CONNECTIONS = 8
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Channels to one address share a connection otherwise.
    ("grpc.use_local_subchannel_pool", 1),
    # After a lost connection gRPC would wait up to two minutes; the port is on this machine.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
Metadata = Sequence[tuple[str, str | bytes]]


class Upstream:
    """The connections to one address."""

    def __init__(self, address: str) -> None:
        self._channels = [grpc.aio.insecure_channel(address, options=_OPTIONS) for _ in range(_CONNECTIONS)]
        unary = [method.name for method in SERVICE.methods if not method.client_streaming]
        self._calls = {
            name: itertools.cycle([channel.unary_unary(path(name)) for channel in self._channels]) for name in unary
        }

    async def call(
        self, method: str, request: bytes, application: str, metadata: Metadata, timeout_s: float | None
    ) -> bytes:
        """Return the answer's bytes; raises grpc.aio.AioRpcError. Cancelled, it cancels the call."""
        sent: Any = (("application", application), *metadata)
        answer: bytes = await next(self._calls[method])(request, metadata=sent, timeout=timeout_s)
        return answer

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
