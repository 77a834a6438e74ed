"""What RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names: puts the short path into a replica's servers.

Its requests never reach Serve's wrapper, so serve_ledger.py counts them for Serve.
"""

import asyncio
from typing import Any

from starlette.middleware import Middleware

from . import proxy_answers, serve_ledger
from .http import server_protocol, short_path
from .http.bodies import ASGIApp, Receive, Scope, Send
from .ray_compat import servers
from .ray_compat.uvicorn_protocol import protocol_usable


def install() -> list[Middleware]:
    """Return what Ray wraps around a replica's server: it changes no request, but from it the server is found."""
    server_protocol.install()
    serve_ledger.enable()
    proxy_answers.install()
    return [Middleware(_Finder)]  # type: ignore[arg-type]  # Starlette types messages more narrowly than ASGI.


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
    ledger = serve_ledger.of_replica(replica)
    if ledger is not None:
        await servers.set_http_protocol(replica, short_path.protocol(ledger))
