"""The application at `/`: health and metadata of the server, the index of its models, and a JSON 404 for the rest.

It asks Serve what runs, at most once a second, so that a probe costs the controller nothing.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson
from ray import serve

from . import log
from .http import ASGIApp, Receive, Scope, Send, lifespan
from .running import App, Running

_PREFIX = "/v2/models/"
_LOOK_EVERY_S = 0.25
Answer = tuple[int, Any]


class Root:
    """Answers for the server as a whole."""

    def __init__(self, server_name: str) -> None:
        self._log = log.set_up()
        self._server_name = server_name
        self._running = Running(serve.get_replica_context().app_name)
        self._watcher = asyncio.get_running_loop().create_task(self._announce())
        self._routes: dict[str, tuple[tuple[str, ...], Callable[[], Awaitable[Answer]]]] = {
            "/v2": (("GET",), self._metadata),
            "/v2/health/live": (("GET",), self._live),
            "/v2/health/ready": (("GET",), self._ready),
            "/v2/models": (("GET",), self._models),
            "/v2/repository/index": (("POST", "GET"), self._index),
        }

    def __serve_build_asgi_app__(self) -> ASGIApp:
        # uvicorn takes a bound method for an application of ASGI 2, so it gets a function.
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._asgi(scope, receive, send)

        return app

    async def _asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        status, body, extra = await self._answer(scope["method"], scope["path"].rstrip("/"))
        payload = orjson.dumps(body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode()), *extra]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else payload})

    async def _answer(self, method: str, path: str) -> tuple[int, Any, list[tuple[bytes, bytes]]]:
        if path not in self._routes:
            return 404, {"error": await self._not_found(path)}, []
        methods, route = self._routes[path]
        if method not in methods and not (method == "HEAD" and "GET" in methods):
            allowed = ", ".join(methods)
            return 405, {"error": f"{path} takes {allowed}, not {method}"}, [(b"allow", allowed.encode())]
        try:
            return *await route(), []
        except Exception:  # A probe must get an answer even while the controller is away.
            self._log.exception("Serve did not say what runs")
            return 503, {"error": "the server cannot tell at the moment which models run"}, []

    async def _not_found(self, path: str) -> str:
        if not path.startswith(_PREFIX):
            return f"there is nothing at {path or '/'}; the Open Inference Protocol is served below /v2"
        wanted = path.removeprefix(_PREFIX).split("/")[0]
        try:
            apps = await self._running.apps()
        except Exception:  # The 404 stays one without its hint.
            return f"there is no model {wanted!r} here"
        for app in apps:
            if app.name == wanted:
                return f"model {wanted!r} is {app.state.lower()}, not ready"
        return f"there is no model {wanted!r} here; there is {', '.join(app.name for app in apps) or 'none'}"

    async def _metadata(self) -> Answer:
        try:
            release = version("pitstop")
        except PackageNotFoundError:
            release = "source"
        return 200, {
            "name": self._server_name,
            "version": release,
            "extensions": ["binary_tensor_data", "model_repository", "statistics", "model_configuration"],
        }

    async def _live(self) -> Answer:
        return 200, {"live": True}

    async def _ready(self) -> Answer:
        apps = await self._running.apps()
        waiting = [app.name for app in apps if not app.ready]
        if apps and not waiting:
            return 200, {"ready": True}
        return 503, {"ready": False, "waiting_for": waiting}

    async def _models(self) -> Answer:
        return 200, {"models": [app.name for app in await self._running.apps() if app.ready]}

    async def _index(self) -> Answer:
        return 200, [
            {"name": app.name, "version": app.version, "state": app.state, "reason": app.reason}
            for app in await self._running.apps()
        ]

    async def _announce(self) -> None:
        """Say once in the terminal that everything is ready, with a line to try; or which model failed, and why."""
        told: set[str] = set()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                apps = await self._running.apps()
            except Exception:  # Serve may still be starting; ask again.
                continue
            for app in apps:
                if app.failed and app.name not in told:
                    told.add(app.name)
                    self._log.error("%s will not be served:\n%s", app.name, app.message)
            if apps and all(app.ready or app.name in told for app in apps):
                break
        if told:
            self._log.error("the rest is ready, without %s", ", ".join(sorted(told)))
        else:
            print(_invitation(apps, self._running.port), file=sys.__stderr__, flush=True)


def _invitation(apps: list[App], port: int) -> str:
    names = [app.name for app in apps]
    line = f"curl localhost:{port}{_PREFIX}{names[0]}"
    if "digits" in names:
        line = f"curl --data-binary @examples/seven.png localhost:{port}{_PREFIX}digits/predict"
    return f"pitstop is ready: {', '.join(names)}\n  try: {line}"


Deployment = serve.deployment(name="Root", ray_actor_options={"num_cpus": 0})(serve.ingress()(Root))
