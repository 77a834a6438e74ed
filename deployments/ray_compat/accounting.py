"""Serve's own counters of a replica's requests; ../serve_request_counter.py counts with them.

Serve drains a replica and scales a deployment by the number of ongoing requests; its dashboards show the rest.
"""

from collections import defaultdict, deque
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple
from unittest.mock import MagicMock

from .names import Part, classes, fields, functions, say_lost, say_once, usable, values

_COMMON, _REPLICA = "ray.serve._private.common", "ray.serve._private.replica"
PART = Part(
    "Serve's accounting of requests",
    "requests go through Serve's wrapper, which is slower",
    (
        *classes(
            _COMMON,
            {"RequestMetadata": "request_id internal_request_id _request_protocol is_direct_ingress"},
        ),
        *values(_COMMON, "RequestProtocol.HTTP"),
        *fields(_REPLICA, "Replica", "_user_callable_wrapper _event_loop _metrics_manager _route_prefix"),
        *fields(_REPLICA, "UserCallableWrapper", "event_loop"),
        *fields(_REPLICA, "ReplicaMetricsManager", "_cached_request_counter _cached_latencies"),
        *functions(
            _REPLICA,
            {
                "ReplicaMetricsManager.inc_num_ongoing_requests": "request_metadata",
                "ReplicaMetricsManager.dec_num_ongoing_requests": "request_metadata",
                "ReplicaMetricsManager.record_request_metrics": "route latency_ms is_error",
            },
        ),
    ),
)
_ONE_LOOP = (
    "the model's event loop is another than the server's, since RAY_SERVE_THROUGHPUT_OPTIMIZED is off: "
    "requests go through Serve's wrapper, which is slower"
)


class Counters(NamedTuple):
    """`begun` and `ended` take `request`; `answered` counts by `route`, `latencies` are in ms by `route`."""

    begun: Callable[[Any], object]
    ended: Callable[[Any], object]
    request: Any
    answered: MutableMapping[str, int]
    latencies: MutableMapping[str, deque[float]]
    route: str


def counters(replica: Any) -> Counters | None:
    """Return what a replica's requests are counted with; None where they must go through Serve's wrapper."""
    if not usable(PART):
        return None
    try:
        if replica._user_callable_wrapper.event_loop is not replica._event_loop:
            say_once(_ONE_LOOP)
            return None
        return _counters(replica, replica._metrics_manager)
    except (AttributeError, TypeError, ValueError) as error:
        say_lost(PART, str(error))
        return None


def _counters(replica: Any, manager: Any) -> Counters:
    from ray.serve._private.common import RequestMetadata, RequestProtocol

    _check_caches(manager)
    return Counters(
        manager.inc_num_ongoing_requests,
        manager.dec_num_ongoing_requests,
        RequestMetadata(
            request_id="", internal_request_id="", is_direct_ingress=True, _request_protocol=RequestProtocol.HTTP
        ),
        manager._cached_request_counter,
        manager._cached_latencies,
        replica._route_prefix,
    )


def _check_caches(manager: Any) -> None:
    """Have Serve's own method record a request in empty caches, and see whether it writes what we are going to write.

    Raises:
        AttributeError: they are of another kind.
        ValueError: it counts by another key, or in another unit.
    """
    answered: defaultdict[str, int] = defaultdict(manager._cached_request_counter.default_factory)
    latencies: defaultdict[str, deque[float]] = defaultdict(manager._cached_latencies.default_factory)
    caches = MagicMock(_cached_metrics_enabled=True, _cached_request_counter=answered, _cached_latencies=latencies)
    type(manager).record_request_metrics(caches, route="/", latency_ms=1.5, is_error=False)
    answered["/"] += 1
    latencies["/"].append(1.5)
    if answered != {"/": 2} or latencies != {"/": deque([1.5, 1.5])}:
        raise ValueError("Serve caches a request's metrics by another key")
