"""Objects of Ray's as a replica, a proxy and a controller have them, made without a Ray that runs."""

import asyncio
from collections import defaultdict, deque
from types import SimpleNamespace
from typing import Any

from ray.serve._private import replica as ray_replica

ReplicaMetricsManager: Any = ray_replica.ReplicaMetricsManager


def metrics_manager(kind: Any = ReplicaMetricsManager) -> Any:
    """Serve's own, as far as requests are counted: its constructor needs a controller."""
    manager: Any = object.__new__(kind)
    manager._cached_metrics_enabled = True
    manager._num_ongoing_requests = 0
    manager._ingress = False
    manager._cached_request_counter = defaultdict(int)
    manager._cached_latencies = defaultdict(deque)
    return manager


def replica(manager: Any = None, servers: Any = 1, model: Any = 1) -> Any:
    """A replica with one event loop for its servers and the model, unless two are given."""
    return SimpleNamespace(
        _metrics_manager=manager or metrics_manager(),
        _route_prefix="/v2/models/m",
        _event_loop=servers,
        _user_callable_wrapper=SimpleNamespace(event_loop=model),
        _direct_ingress_grpc_server=None,
        _direct_ingress_http_server=SimpleNamespace(config=SimpleNamespace(loaded=True, http_protocol_class=None)),
    )


class Bound:
    """Something of a replica's, such as its ASGI application."""

    def __init__(self, owner: Any) -> None:
        self.__self__ = owner


def app(owner: Any) -> Any:
    """What a middleware of a replica's HTTP server wraps."""
    return SimpleNamespace(_app=Bound(owner))


def grpc_server(owner: Any) -> Any:
    passed: list[str] = []
    return SimpleNamespace(service_handler_factory=Bound(owner), add_passthrough_service=passed.append, passed=passed)


class Handle:
    """A deployment's handle, which says how it was asked to call."""

    def __init__(self, replicas: frozenset[str] = frozenset()) -> None:
        router = SimpleNamespace(_request_router=SimpleNamespace(_replica_id_set=replicas))
        self._router = SimpleNamespace(_asyncio_router=router)
        self.chosen: dict[str, Any] = {}

    def options(self, **given: Any) -> "Handle":
        self.chosen = given
        return self


class Remote:
    """A method of an actor."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def remote(self) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(self._answer)
        return future
