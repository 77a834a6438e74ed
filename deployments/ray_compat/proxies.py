"""How Serve's own proxy sends a request to a replica: ../proxy_answers.py answers in its place where there is none."""

import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from .names import Part, classes, fields, functions, usable

_PROXY, _REQUESTS = "ray.serve._private.proxy", "ray.serve._private.proxy_request_response"
# The proxy calls it by keywords, all of which are passed on.
_SENDING = "handle proxy_request ..."
SENDING = Part(
    "how Serve's own proxy sends requests",
    "requests for a model that loads wait for it, where they would get a 503",
    (
        *functions(
            _PROXY,
            {"HTTPProxy.send_request_to_replica": _SENDING, "gRPCProxy.send_request_to_replica": _SENDING},
        ),
        *fields(_REQUESTS, "ASGIProxyRequest", "request_type method path receive"),
        *fields(_REQUESTS, "gRPCProxyRequest", "method_name"),
        *classes(_REQUESTS, {"ResponseStatus": "code is_error message"}),
        *fields("ray.serve.handle", "DeploymentHandle", "deployment_id"),
        *fields("ray.serve._private.common", "DeploymentID", "app_name"),
    ),
)
ROUTER = Part(
    "which replicas the router of Serve's own proxy knows",
    "that proxy asks the controller once a second, also for models that have replicas",
    (
        *fields("ray.serve.handle", "DeploymentHandle", "_router"),
        *fields("ray.serve._private.router", "CurrentLoopRouter", "_asyncio_router"),
        *fields("ray.serve._private.router", "SingletonThreadRouter", "_asyncio_router"),
        *fields("ray.serve._private.router", "AsyncioRouter", "_request_router"),
        *fields("ray.serve._private.request_router.request_router", "RequestRouter", "_replica_id_set"),
    ),
)
_MARK = "_pitstop"
Send = Callable[..., AsyncIterator[Any]]


def replace_sending(http: Callable[[Send], Send], grpc: Callable[[Send], Send]) -> None:
    """Put what `http` and `grpc` make of Serve's functions in their place; in a process with no proxy, do nothing."""
    proxy: Any = sys.modules.get(_PROXY)
    if proxy is None or not usable(SENDING):
        return
    for owner, made in ((proxy.HTTPProxy, http), (proxy.gRPCProxy, grpc)):
        if not hasattr(owner.send_request_to_replica, _MARK):
            replaced = made(owner.send_request_to_replica)
            setattr(replaced, _MARK, True)
            owner.send_request_to_replica = replaced


def has_replicas(handle: Any) -> bool:
    """Whether Serve's router knows a replica; False where it does not say, and then the controller is asked."""
    if not usable(ROUTER):
        return False
    router = getattr(handle._router, "_asyncio_router", None)
    return bool(getattr(getattr(router, "_request_router", None), "_replica_id_set", None))


def status(code: Any, message: str = "", is_error: bool = True) -> Any:
    """Return what ends an answer of Serve's own proxy."""
    from ray.serve._private.proxy_request_response import ResponseStatus

    return ResponseStatus(code=code, message=message, is_error=is_error)
