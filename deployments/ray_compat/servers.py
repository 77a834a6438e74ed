"""The HTTP and gRPC servers that Serve starts in a replica: their protocol, their handlers, their address."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from .names import Part, fields, functions, say_lost, usable

_REPLICA, _GRPC_UTIL = "ray.serve._private.replica", "ray.serve._private.grpc_util"
HTTP = Part(
    "the HTTP server of a replica",
    "HTTP requests go through Serve's wrapper, which is slower",
    (
        *fields("ray.serve._private.http_util", "RequestIdMiddleware", "_app"),
        *fields(_REPLICA, "Replica", "_direct_ingress_http_server"),
        *fields("uvicorn", "Server", "config"),
        *fields("uvicorn", "Config", "loaded http_protocol_class"),
    ),
)
GRPC = Part(
    "the gRPC server of a replica",
    "gRPC calls go through Serve's wrapper, which is slower",
    (
        *fields(_REPLICA, "Replica", "_direct_ingress_grpc_server"),
        *fields(_GRPC_UTIL, "gRPCGenericServer", "service_handler_factory"),
        *functions(_GRPC_UTIL, {"gRPCGenericServer.add_passthrough_service": "service_name"}),
    ),
)
ADDRESS = Part(
    "the address of a replica's gRPC server",
    "the gRPC ports of replicas listen on every interface",
    functions("ray.serve._private.default_impl", {"add_grpc_address": "grpc_server server_address"}),
)
_LOOK_EVERY_S = 0.01
_LOOK_FOR_S = 60.0


def replica_of_app(app: Any) -> Any:
    """Return the replica whose HTTP server runs an ASGI app; None in Serve's own proxy, and where Serve differs."""
    if not usable(HTTP):
        return None
    while (inner := getattr(app, "_app", None) or getattr(app, "app", None)) is not None:
        app = inner
    owner = getattr(app, "__self__", None)
    return owner if hasattr(owner, "_direct_ingress_http_server") else None


async def set_http_protocol(replica: Any, protocol: type) -> None:
    """Give a replica's HTTP server this class for its connections, as soon as there is a server."""
    deadline = time.monotonic() + _LOOK_FOR_S
    while (server := replica._direct_ingress_http_server) is None or not server.config.loaded:
        if time.monotonic() > deadline:
            say_lost(HTTP, f"it did not start within {_LOOK_FOR_S:g} s")
            return
        await asyncio.sleep(_LOOK_EVERY_S)
    server.config.http_protocol_class = protocol


def replica_of_grpc(server: Any) -> Any:
    """Return the replica that a gRPC server belongs to; None for every other server, and where Serve differs."""
    replica = getattr(getattr(server, "service_handler_factory", None), "__self__", None)
    return replica if hasattr(replica, "_direct_ingress_grpc_server") and usable(GRPC) else None


def answer_directly(server: Any, service: str) -> None:
    """Let a replica's gRPC server call the handlers of a service as they are; `replica_of_grpc` has found it."""
    server.add_passthrough_service(service)


def set_grpc_address(address: Callable[[str], str]) -> None:
    """Let the gRPC servers that Serve starts in this process from now on listen on `address` of what Serve says."""
    if not usable(ADDRESS):
        return
    from ray.serve._private import default_impl

    private: Any = default_impl
    original = private.add_grpc_address

    def add_grpc_address(grpc_server: Any, server_address: str) -> None:
        original(grpc_server, address(server_address))

    private.add_grpc_address = add_grpc_address
