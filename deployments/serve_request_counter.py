"""Counts requests of the short path for Serve, as its wrapper would: Serve never sees them.

Serve needs the count of ongoing requests to drain a replica and to scale a deployment; its dashboards show the rest.
This has no public API in Ray: ray_compat/ knows the private parts.
"""

import time
from typing import Any

from .ray_compat import accounting, servers

# A histogram's observe costs as much as reading a small request; a sample shows the same percentiles.
_LATENCIES_A_SECOND = 100
_enabled: list[bool] = []


class RequestCounter:
    """Counts the requests of one replica; `begin` and `end` surround each."""

    def __init__(self, counters: accounting.Counters) -> None:
        # Each request looks these up once, on this object alone.
        self._inc, self._dec, self._request = counters.begun, counters.ended, counters.request
        self._counts, self._latencies, self._route = counters.answered, counters.latencies, counters.route
        self._second = self._sampled = 0

    def begin(self) -> float:
        self._inc(self._request)
        return time.perf_counter()

    def end(self, began: float) -> None:
        self._dec(self._request)
        self._counts[self._route] += 1
        now = time.perf_counter()
        if int(now) != self._second:
            self._second, self._sampled = int(now), 0
        if self._sampled < _LATENCIES_A_SECOND:
            self._sampled += 1
            self._latencies[self._route].append((now - began) * 1000)


def enable() -> None:
    """Let the short path be used in this process: serve_accounting.install was called here."""
    _enabled[:] = [True]


def of_grpc_server(server: Any) -> RequestCounter | None:
    """Return the counter of the replica that has this gRPC server; None in a proxy, or if the short path is off."""
    replica = servers.replica_of_grpc(server) if _enabled else None
    return None if replica is None else of_replica(replica)


def of_replica(replica: Any) -> RequestCounter | None:
    """Return the counter of a replica; None if this Ray counts in another way."""
    counters = accounting.counters(replica)
    return None if counters is None else RequestCounter(counters)
