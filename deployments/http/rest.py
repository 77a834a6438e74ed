"""A model over HTTP, as raw ASGI: the Open Inference Protocol and the friendly /predict.

Raw, because a framework costs more than the rest of a small request (`python -m benchmarks.paths` measures both). Every
path is looked up whole in one dict; only what is not there is taken apart, to say what is wrong with it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import orjson

from ..access.guard import AUTHORIZATION
from ..errors import MethodNotAllowed, NotFound, NotReady, show
from ..inference import InferRequest, Service, check, no_version
from ..protocol.headers import REQUEST_ID
from ..ray_compat.uvicorn_protocol import leaving
from .bodies import (
    HEAVY_BYTES,
    ASGIApp,
    Disconnected,
    Given,
    Receive,
    Reply,
    Scope,
    Send,
    lifespan,
    read,
    send_reply,
)
from .exchange import read_infer, refuse, write_infer

__all__ = ["ASGIApp", "build"]

Handler = Callable[[Service, Given, Receive], Awaitable[Reply]]


class Route(NamedTuple):
    methods: tuple[str, ...]
    handle: Handler


def build(service: Service, *, echo_request_id: bool = False) -> ASGIApp:
    """Return the ASGI application of one model.

    Args:
        service: the model.
        echo_request_id: whether answers carry the request's x-request-id. Serve's own middleware adds it to every
            answer, and would double it; a server without that middleware wants True.
    """
    prefix = f"/v2/models/{service.name}"
    routes = {prefix + path: route for path, route in _ROUTES.items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            path = scope["path"]
            route = routes.get(path)
            at, found = (service, route) if route is not None else _find(service, path)
            await _serve(at, found, scope, receive, send)
        elif kind == "lifespan":
            await lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    return _echoing(app) if echo_request_id else app


def infer_paths(service: Service) -> dict[str, Service]:
    """Return where /infer is, without a version and with it, and who answers there."""
    prefix = f"/v2/models/{service.name}"
    pinned = service.at(service.version) or service
    return {f"{prefix}/infer": service, f"{prefix}/versions/{service.version}/infer": pinned}


def _echoing(app: ASGIApp) -> ASGIApp:
    async def echoing(scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope.get("headers", ()) if name == REQUEST_ID), None)

        async def echo(message: Any) -> None:
            if given is not None and message["type"] == "http.response.start":
                message["headers"].append((REQUEST_ID, given))
            await send(message)

        await app(scope, receive, echo)

    return echoing


async def _serve(service: Service, route: Route | NotFound, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request, whatever happens."""
    headers: Given = dict(scope["headers"])
    method = scope["method"]
    try:
        if service.guard is not None and route is not _READY:
            service.guard.check(headers.get(AUTHORIZATION))
        if isinstance(route, NotFound):
            raise route
        if method not in route.methods:
            raise MethodNotAllowed(method, route.methods)
        reply = await route.handle(service, headers, receive)
    except Disconnected:
        return
    except Exception as error:  # A raw application gets no other net.
        reply = refuse(service, error, headers)
    await send_reply(send, headers, reply, method == "HEAD")


def _find(service: Service, path: str) -> tuple[Service, Route | NotFound]:
    """Look a path up without its last slash, as relative to the model, or at a version; else say what is wrong."""
    prefix = f"/v2/models/{service.name}"
    trimmed = path.rstrip("/")
    below = trimmed.removeprefix(prefix) if trimmed == prefix or trimmed.startswith(prefix + "/") else trimmed
    parts = below.split("/", 3)
    at: Service | None = service
    if parts[1:2] == ["versions"] and len(parts) > 2:
        at, below = service.at(parts[2]), "".join(f"/{part}" for part in parts[3:])
    if at is None:
        return service, no_version(service, parts[2])
    if below in _ROUTES:
        return at, _ROUTES[below]
    known = ", ".join(key or "the path itself" for key in _ROUTES)
    return service, NotFound(f"there is nothing at {show(path)}; below {prefix} there is {known}")


async def _metadata(service: Service, _headers: Given, _receive: Receive) -> Reply:
    return _json(service.metadata())


async def _config(service: Service, _headers: Given, _receive: Receive) -> Reply:
    return _json(service.config())


async def _stats(service: Service, _headers: Given, _receive: Receive) -> Reply:
    return _json(service.stats())


async def _ready(service: Service, _headers: Given, _receive: Receive) -> Reply:
    ready = service.ready()
    return Reply(orjson.dumps({"name": service.name, "ready": ready}), 200 if ready else 503, compress=False)


async def _infer(service: Service, headers: Given, receive: Receive) -> Reply:
    body = await read(headers, receive, service.tunables.max_body_mib)
    request = read_infer(service, headers, body)
    request.gone = leaving(receive)
    if not service.ready():
        raise NotReady
    return write_infer(service, request, await service.infer(request))


async def _predict(service: Service, headers: Given, receive: Receive) -> Reply:
    body = await read(headers, receive, service.tunables.max_body_mib)
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    if len(body) > HEAVY_BYTES:
        inputs, single = await asyncio.to_thread(service.predict.read, body, content_type)
    else:
        inputs, single = service.predict.read(body, content_type)
    request = InferRequest(inputs, check(service.signature, inputs), None, (), gone=leaving(receive))
    if not service.ready():
        raise NotReady
    answers = service.predict.answers(await service.infer(request))
    return _json(answers[0] if single else {"predictions": answers}, compress=True)


def _json(found: object, compress: bool = False) -> Reply:
    return Reply(orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY), compress=compress)


_GET = ("GET", "HEAD")
# Probes bring no token.
_READY = Route(_GET, _ready)
_ROUTES: dict[str, Route] = {
    "": Route(_GET, _metadata),
    "/ready": _READY,
    "/config": Route(_GET, _config),
    "/stats": Route(_GET, _stats),
    "/infer": Route(("POST",), _infer),
    "/predict": Route(("POST",), _predict),
}
