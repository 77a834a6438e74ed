"""Puts the short path into a replica's servers; RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names `install`.

Its requests never reach Serve's wrapper, so serve_request_counter.py counts them for Serve.
"""

import asyncio
from typing import Any

from starlette.middleware import Middleware

from . import proxy_answers, serve_request_counter
from .http import server_protocol, short_path
from .http.bodies import ASGIApp, Receive, Scope, Send
from .ray_compat import servers
from .ray_compat.uvicorn_protocol import protocol_usable


def install() -> list[Middleware]:
    """Return the middleware that Ray wraps around a replica's app. It changes no request; it finds the server."""
    server_protocol.install()
    serve_request_counter.enable()
    proxy_answers.install()
    return [Middleware(_Finder)]  # type: ignore[arg-type]  # Starlette types messages more narrowly than ASGI.


class _Finder:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        replica = servers.replica_of_app(app)
        if replica is not None and protocol_usable():
            self._task = asyncio.get_running_loop().create_task(_use_short_path(replica))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _use_short_path(replica: Any) -> None:
    """Give the replica's server our protocol, as soon as there is a server."""
    counter = serve_request_counter.of_replica(replica)
    if counter is not None:
        await servers.set_http_protocol(replica, short_path.protocol(counter))
