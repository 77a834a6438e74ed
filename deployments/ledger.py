"""Serve's own books of a replica, kept for requests that Serve never sees, as its wrapper would keep them.

By the count of ongoing requests Serve drains a replica that stops and scales a deployment; its dashboards show the
rest. Ray offers no public way to any of it: what the short path needs of Ray's private parts is touched here, and only
here.
"""

import asyncio
import logging
import time
from typing import Any

from starlette.middleware import Middleware

from . import proxy_answers
from .http import server_protocol
from .http.bodies import ASGIApp, Receive, Scope, Send

_log = logging.getLogger("pitstop")
# A histogram's observe costs as much as reading a small request; a sample shows the same percentiles.
_LATENCIES_A_SECOND = 100
_LOOK_EVERY_S = 0.01
_LOOK_FOR_S = 60.0
_installed: list[bool] = []


class Ledger:
    """The books of one replica; `begin` and `end` surround each request."""

    def __init__(self, replica: Any) -> None:
        from ray.serve._private.common import RequestMetadata, RequestProtocol

        if replica._user_callable_wrapper.event_loop is not replica._event_loop:
            raise AttributeError(
                "the model's event loop is another than the server's: RAY_SERVE_THROUGHPUT_OPTIMIZED is off"
            )
        manager = replica._metrics_manager
        self._route = replica._route_prefix
        self._request = RequestMetadata(
            request_id="", internal_request_id="", is_direct_ingress=True, _request_protocol=RequestProtocol.HTTP
        )
        # Looked up once, so that a Ray without them is noticed at the start, not by a request.
        self._inc, self._dec = manager.inc_num_ongoing_requests, manager.dec_num_ongoing_requests
        self._counts, self._latencies = manager._cached_request_counter, manager._cached_latencies
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
    replica = getattr(getattr(server, "service_handler_factory", None), "__self__", None)
    if not _installed or not hasattr(replica, "_direct_ingress_grpc_server"):
        return None
    try:
        return Ledger(replica)
    except (AttributeError, TypeError, ImportError) as error:
        _log.warning("the short path does not fit this Ray (%s): gRPC calls go Serve's way, only slower", error)
        return None


class _Finder:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        replica = _replica_behind(app)
        if replica is not None:
            self._task = asyncio.get_running_loop().create_task(_shorten(replica))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _replica_behind(app: Any) -> Any:
    """Return Ray's replica whose server this app is; None in Ray's own proxy, where there is nothing to shorten."""
    while (inner := getattr(app, "_app", None) or getattr(app, "app", None)) is not None:
        app = inner
    owner = getattr(app, "__self__", None)
    return owner if hasattr(owner, "_direct_ingress_http_server") else None


async def _shorten(replica: Any) -> None:
    """Give the replica's server our protocol, as soon as there is a server."""
    from .http import short_path

    try:
        ledger = Ledger(replica)
        deadline = time.monotonic() + _LOOK_FOR_S
        while (server := replica._direct_ingress_http_server) is None or not server.config.loaded:
            if time.monotonic() > deadline:
                raise AttributeError("its server did not start")
            await asyncio.sleep(_LOOK_EVERY_S)
        server.config.http_protocol_class = short_path.protocol(ledger)
    except (AttributeError, TypeError, ImportError) as error:
        _log.warning("the short path does not fit this Ray (%s): requests go Serve's way, only slower", error)
