"""The application at `/`: health and metadata of the server, the index of its models, and a JSON 404 for the rest.

OpenAI's clients name the model in the body, so /v1/embeddings is here too and is passed on to the model.

It asks Serve what runs, at most once a second, so that a probe costs the controller nothing.
"""

import asyncio
from functools import partial
from pathlib import Path

import orjson
from ray import serve

from configs.schema import RootConfig, Tunables

from . import log_format
from .auth.authenticator import AUTHORIZATION, open_authenticator
from .bind_addresses import http_host, narrow_grpc, reachable_ports
from .console.data import ConsoleData
from .console.pages import pages, wants_html
from .core.errors import Headers, NotFound, NotReady, ServeError, sentence, show
from .dashboard import running_dashboard
from .grpc.proxy import GrpcProxy
from .grpc.without_model import without_model
from .http import server_protocol
from .http.bodies import ASGIApp, Given, Receive, Response, Scope, read
from .http.router import Route, application, refusing
from .http.static_files import static_routes
from .model_client import ModelClient
from .openai.embeddings import model_in, models_list
from .openai.errors import as_openai
from .openapi.description import Description
from .protocol.headers import KIND
from .protocol.server_metadata import server_metadata
from .ray_compat import controller
from .serve_status import ServeStatus
from .startup_notice import announce, to_terminal

_PREFIX = "/v2/models/"
_OPENAI = "/v1"
_PASSED_ON = ("authorization", "x-request-id", "traceparent", "tracestate")
_PASSED_BACK = (b"retry-after", b"www-authenticate", KIND)
_EXTENSIONS = ("binary_tensor_data", "model_repository", "statistics", "model_configuration")


class Root:
    """Answers for the server as a whole."""

    async def __init__(self, config: RootConfig) -> None:  # type: ignore[misc]  # As Ray has it.
        self._log = log_format.set_up()
        self._server_name = config.server_name
        # What __del__ reads comes first: Serve awaits it even if this did not come up.
        self._grpc_proxy: GrpcProxy | None = None
        self._serve_status = ServeStatus(serve.get_replica_context().app_name)
        self._models_client = ModelClient(self._serve_status)
        self._authenticator = open_authenticator(config.auth, None)
        server = server_metadata(self._server_name, _EXTENSIONS)
        self._console_data = ConsoleData(self._serve_status, server, controller.replica_addresses)
        self._description = Description(self._serve_status, self._models_client, server, config.auth is not None)
        await narrow_grpc()
        self._grpc_proxy = await self._start_grpc_proxy(config)
        if opened := await reachable_ports(config):
            self._log.warning("%s", opened)
        self._watcher = asyncio.get_running_loop().create_task(
            announce(self._serve_status, to_terminal, running_dashboard())
        )

    async def __del__(self) -> None:
        """Serve awaits this when the replica stops."""
        if self._grpc_proxy is not None:
            await self._grpc_proxy.stop()
        self._models_client.close()
        self._console_data.close()

    async def refuse_grpc(self) -> None:
        """serve_process.py calls this before a stop: what the gRPC proxy takes later could reach no model."""
        if self._grpc_proxy is not None:
            await self._grpc_proxy.refuse()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        server_protocol.install()
        return self.build()

    def build(self) -> ASGIApp:
        return application(self._find, self._authenticator, self._refuse)

    def _find(self, scope: Scope) -> "tuple[Root, Route[Root]]":
        path = scope["path"].rstrip("/")
        if (route := ROUTES.get(path) or _FILES.get(path)) is not None:
            return self, route
        if path in _PAGES:
            return self, _PAGES[path] if path or wants_html(scope) else ROUTES["/"]
        if path.startswith(f"{_OPENAI}/"):
            text = f"there is nothing at {show(path)}; of OpenAI's protocol there are embeddings and models"
            return self, refusing(NotFound(text), as_openai)
        if not path.startswith(_PREFIX):
            text = f"there is nothing at {show(path or '/')}; the Open Inference Protocol is served below /v2"
            return self, refusing(NotFound(text))
        if b"%" in scope.get("raw_path", b""):  # Requests are routed to models by their raw paths.
            text = f"a model's path must not be percent-encoded: send {show(path)} as it is written here"
            return self, refusing(NotFound(text))
        return self, Route((), partial(_absent, path=path))

    def _refuse(self, error: Exception, _headers: Given) -> Response:
        if not isinstance(error, ServeError):  # A probe must get an answer even while the controller is away.
            self._log.error("Serve did not say what runs", exc_info=error)
            error = NotReady("the server cannot tell at the moment which models run: try again in 1 s")
        return _json({"error": sentence(error)}, error.status, error.headers)

    async def _index_page(self, _headers: Given, _receive: Receive) -> Response:
        """Answer a client that takes no HTML, such as curl."""
        pages = {
            "console": "/",
            "requests": "/docs",
            "metadata": "/v2",
            "models": "/v2/models",
            "readiness": "/v2/health/ready",
        }
        found = {"name": self._server_name, "paths": pages, "hint": "open / in a browser for the console"}
        return _json(found, headers=((b"cache-control", b"no-store"), (b"vary", b"accept")))

    async def _console(self, headers: Given, _receive: Receive) -> Response:
        return Response(await self._console_data.get(headers.get(AUTHORIZATION)))

    async def _metadata(self, _headers: Given, _receive: Receive) -> Response:
        return _json(server_metadata(self._server_name, _EXTENSIONS))

    async def _live(self, _headers: Given, _receive: Receive) -> Response:
        return _json({"live": True})

    async def _ready(self, _headers: Given, _receive: Receive) -> Response:
        waiting_for = await self._waiting_for()
        if waiting_for == []:
            return _json({"ready": True})
        return _json({"ready": False, "waiting_for": waiting_for or []}, 503)

    async def _models(self, _headers: Given, _receive: Receive) -> Response:
        return _json({"models": [app.name for app in await self._serve_status.apps() if app.ready]})

    async def _index(self, _headers: Given, _receive: Receive) -> Response:
        keys = ("name", "version", "state", "reason", "replicas")
        return _json([{key: getattr(app, key) for key in keys} for app in await self._serve_status.apps()])

    async def _openapi(self, headers: Given, _receive: Receive) -> Response:
        text = await self._description.text(headers.get(AUTHORIZATION))
        return Response(text, headers=((b"cache-control", b"no-store"),))

    async def _embeddings(self, headers: Given, receive: Receive) -> Response:
        """Pass a request on to the model that its body names, whose replica checks the token."""
        body = await read(headers, receive, Tunables().max_body_mib)
        passed = [
            (name, value.decode())
            for name in _PASSED_ON
            if (value := headers.get(name.encode(), b"")).isascii() and value
        ]
        try:
            reply = await self._models_client.post(
                model_in(body), f"{_OPENAI}/embeddings", [("content-type", "application/json"), *passed], body
            )
        except (NotFound, NotReady):  # These name other models.
            if self._authenticator is not None:
                self._authenticator.check(headers.get(AUTHORIZATION))
            raise
        kept = tuple((name, value) for name, value in reply.headers.items() if name in _PASSED_BACK)
        return Response(reply.body, reply.status, headers=kept, compress=False)

    async def _openai_models(self, _headers: Given, _receive: Receive) -> Response:
        ready = [app.name for app in await self._serve_status.apps() if app.ready]
        return Response(models_list(ready), compress=False)

    async def _waiting_for(self) -> list[str] | None:
        """Return the models that are not ready; None where there is no model at all."""
        apps = await self._serve_status.apps()
        return [app.name for app in apps if not (app.ready or app.canary)] if apps else None

    async def _start_grpc_proxy(self, config: RootConfig) -> GrpcProxy | None:
        if config.grpc_port is None:
            return None
        proxy = GrpcProxy(self._serve_status, self._server_name, self._all_ready, self._authenticator)
        await proxy.start(config.grpc_port, config.grpc_host or await http_host())
        return proxy

    async def _all_ready(self) -> bool:
        try:
            return await self._waiting_for() == []
        except Exception:  # As over HTTP: a probe must get an answer even while the controller is away.
            return False


async def _absent(root: Root, _headers: Given, _receive: Receive, path: str) -> Response:
    """Answer for a model without a replica."""
    name, _, rest = path.removeprefix(_PREFIX).partition("/")
    error = await root._serve_status.absent(name)
    if rest == "ready" and isinstance(error, NotReady):
        return _json({"name": name, "ready": False}, error.status, error.headers)
    raise error


def _json(content: object, status: int = 200, headers: Headers = ()) -> Response:
    return Response(orjson.dumps(content), status, headers=headers, compress=False)


_GET = ("GET", "HEAD")
ROUTES: dict[str, Route[Root]] = {
    "/": Route(_GET, Root._index_page, open=True),
    "/console/data": Route(_GET, Root._console),
    "/v2": Route(_GET, Root._metadata),
    "/v2/health/live": Route(_GET, Root._live, open=True),
    "/v2/health/ready": Route(_GET, Root._ready, open=True),
    "/v2/models": Route(_GET, Root._models),
    f"{_OPENAI}/embeddings": Route(("POST",), Root._embeddings, open=True, told=as_openai),
    f"{_OPENAI}/models": Route(_GET, Root._openai_models, told=as_openai),
    "/v2/repository/index": Route(("POST", *_GET), Root._index),
    "/openapi.json": Route(_GET, Root._openapi),
}
_FILES = static_routes(Path(__file__).parent / "openapi" / "static", "/docs")
_PAGES: dict[str, Route[Root]] = pages()
Deployment = serve.deployment(name="Root", ray_actor_options={"num_cpus": 0})(serve.ingress()(without_model(Root)))
