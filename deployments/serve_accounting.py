"""Serve's own books of a replica, kept for requests that Serve never sees, as its wrapper would keep them.

By the count of ongoing requests Serve drains a replica that stops and scales a deployment; its dashboards show the
rest. Ray offers no public way to any of it: ray_compat/ knows its private parts.
"""

import asyncio
import time
from typing import Any

from starlette.middleware import Middleware

from . import proxy_answers
from .http import server_protocol
from .http.bodies import ASGIApp, Receive, Scope, Send
from .ray_compat import accounting, servers
from .ray_compat.uvicorn_protocol import protocol_usable

# A histogram's observe costs as much as reading a small request; a sample shows the same percentiles.
_LATENCIES_A_SECOND = 100
_installed: list[bool] = []


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


def install() -> list[Middleware]:
    """Return what Ray wraps around a replica's server: it changes no request, but from it the server is found."""
    server_protocol.install()
    _installed[:] = [True]
    proxy_answers.install()
    return [Middleware(_Finder)]  # type: ignore[arg-type]  # Starlette types messages more narrowly than ASGI.


def of_grpc_server(server: Any) -> Ledger | None:
    """Return the books of the replica whose gRPC server this is; None in a proxy, and where the short path is off."""
    replica = servers.replica_of_grpc(server) if _installed else None
    return None if replica is None else _ledger(replica)


def _ledger(replica: Any) -> Ledger | None:
    counters = accounting.counters(replica)
    return None if counters is None else Ledger(counters)


class _Finder:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        replica = servers.replica_of_app(app)
        if replica is not None and protocol_usable():
            self._task = asyncio.get_running_loop().create_task(_shorten(replica))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _shorten(replica: Any) -> None:
    """Give the replica's server our protocol, as soon as there is a server."""
    from .http import short_path

    ledger = _ledger(replica)
    if ledger is not None:
        await servers.set_http_protocol(replica, short_path.protocol(ledger))
