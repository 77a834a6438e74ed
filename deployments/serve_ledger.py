"""Serve's own books of a replica, kept for requests that Serve never sees, as its wrapper would keep them.

By the count of ongoing requests Serve drains a replica that stops and scales a deployment; its dashboards show the
rest. Ray offers no public way to any of it: ray_compat/ knows its private parts.
"""

import time
from typing import Any

from .ray_compat import accounting, servers

# A histogram's observe costs as much as reading a small request; a sample shows the same percentiles.
_LATENCIES_A_SECOND = 100
_enabled: list[bool] = []


class Ledger:
    """The books of one replica; `begin` and `end` surround each request."""

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
    """Let books be kept in this process: serve_accounting.install was called here."""
    _enabled[:] = [True]


def of_grpc_server(server: Any) -> Ledger | None:
    """Return the books of the replica whose gRPC server this is; None in a proxy, and where the short path is off."""
    replica = servers.replica_of_grpc(server) if _enabled else None
    return None if replica is None else of_replica(replica)


def of_replica(replica: Any) -> Ledger | None:
    """Return the books of a replica; None where this Ray keeps them otherwise."""
    counters = accounting.counters(replica)
    return None if counters is None else Ledger(counters)
