"""The application at `/`: health and metadata of the server, the index of its models, and a JSON 404 for the rest.

It asks Serve what runs, at most once a second, so that a probe costs the controller nothing.
"""

import asyncio
from typing import Any

import orjson
from ray import serve

from configs.schema import RootConfig

from . import log
from .access.guard import AUTHORIZATION, open_guard
from .announce import announce, to_terminal
from .doors import http_host, narrow_grpc, open_doors
from .errors import Headers, NotReady, sentence, show
from .http import server_protocol
from .http.bodies import ASGIApp, Receive, Scope, Send, lifespan
from .protocol.about import server_metadata
from .rpc.front import Front
from .rpc.without_model import without_model
from .running import Running

_PREFIX = "/v2/models/"
_EXTENSIONS = ("binary_tensor_data", "model_repository", "statistics", "model_configuration")
Answer = tuple[int, Any]
# Of each path: the methods it takes, and the name of the method of Root that answers.
ROUTES: dict[str, tuple[tuple[str, ...], str]] = {
    "/v2": (("GET",), "_metadata"),
    "/v2/health/live": (("GET",), "_live"),
    "/v2/health/ready": (("GET",), "_ready"),
    "/v2/models": (("GET",), "_models"),
    "/v2/repository/index": (("POST", "GET"), "_index"),
}
# Probes bring no token.
_OPEN = ("/v2/health/live", "/v2/health/ready")


class Root:
    """Answers for the server as a whole."""

    async def __init__(self, config: RootConfig) -> None:  # type: ignore[misc]  # As Ray has it.
        self._log = log.set_up()
        self._server_name = config.server_name
        self._front: Front | None = None  # Serve awaits __del__ also of one that did not come up.
        self._guard = open_guard(config.access, None)
        await narrow_grpc()
        self._running = Running(serve.get_replica_context().app_name)
        self._front = await self._start_front(config)
        if opened := await open_doors(config):
            self._log.warning("%s", opened)
        self._watcher = asyncio.get_running_loop().create_task(announce(self._running, to_terminal))

    async def __del__(self) -> None:
        """Serve awaits this when the replica stops."""
        if self._front is not None:
            await self._front.stop()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        server_protocol.install()

        # uvicorn takes a bound method for an application of ASGI 2, so it gets a function.
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._asgi(scope, receive, send)

        return app

    async def _asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        status, body, extra = await self._let_in(scope)
        payload = orjson.dumps(body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode()), *extra]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else payload})

    async def _let_in(self, scope: Scope) -> tuple[int, Any, Headers]:
        path = scope["path"].rstrip("/")
        if self._guard is not None and path not in _OPEN:
            refused = self._guard.refusal(dict(scope["headers"]).get(AUTHORIZATION))
            if refused is not None:
                return refused.status, {"error": sentence(refused)}, refused.headers
        return await self._answer(scope["method"], path, b"%" in scope.get("raw_path", b""))

    async def _answer(self, method: str, path: str, encoded: bool = False) -> tuple[int, Any, Headers]:
        if path not in ROUTES:
            return await self._absent(path, encoded)
        methods, name = ROUTES[path]
        if method not in methods and not (method == "HEAD" and "GET" in methods):
            allowed = ", ".join(methods)
            return 405, {"error": f"{path} takes {allowed}, not {method}"}, ((b"allow", allowed.encode()),)
        try:
            status, body = await getattr(self, name)()
            return status, body, ()
        except Exception:  # A probe must get an answer even while the controller is away.
            self._log.exception("Serve did not say what runs")
            error = "the server cannot tell at the moment which models run: try again in 1 s"
            return 503, {"error": error}, ((b"retry-after", b"1"),)

    async def _absent(self, path: str, encoded: bool) -> tuple[int, Any, Headers]:
        if not path.startswith(_PREFIX):
            error = f"there is nothing at {show(path or '/')}; the Open Inference Protocol is served below /v2"
            return 404, {"error": error}, ()
        if encoded:  # Requests are sent to models by their paths as they come.
            error = f"a model's path must not be percent-encoded: send {show(path)} as it is written here"
            return 404, {"error": error}, ()
        name, _, rest = path.removeprefix(_PREFIX).partition("/")
        found = await self._running.absent(name)
        is_probe = rest == "ready" and isinstance(found, NotReady)
        body = {"name": name, "ready": False} if is_probe else {"error": sentence(found)}
        return found.status, body, found.headers

    async def _metadata(self) -> Answer:
        return 200, server_metadata(self._server_name, _EXTENSIONS)

    async def _live(self) -> Answer:
        return 200, {"live": True}

    async def _ready(self) -> Answer:
        apps = await self._running.apps()
        waiting = [app.name for app in apps if not (app.ready or app.canary)]
        if apps and not waiting:
            return 200, {"ready": True}
        return 503, {"ready": False, "waiting_for": waiting}

    async def _models(self) -> Answer:
        return 200, {"models": [app.name for app in await self._running.apps() if app.ready]}

    async def _index(self) -> Answer:
        return 200, [
            {
                "name": app.name,
                "version": app.version,
                "state": app.state,
                "reason": app.reason,
                "replicas": app.replicas,
            }
            for app in await self._running.apps()
        ]

    async def _start_front(self, config: RootConfig) -> Front | None:
        if config.grpc_port is None:
            return None
        front = Front(self._running, self._server_name, self._all_ready, self._guard)
        await front.start(config.grpc_port, config.grpc_host or await http_host())
        return front

    async def _all_ready(self) -> bool:
        try:
            return (await self._ready())[0] == 200
        except Exception:  # As over HTTP: a probe must get an answer even while the controller is away.
            return False


Deployment = serve.deployment(name="Root", ray_actor_options={"num_cpus": 0})(serve.ingress()(without_model(Root)))
