"""A model over HTTP: the Open Inference Protocol, /predict, and OpenAI's embeddings.

Every path is looked up whole in one dict; only a path that is not there is split, to say what is wrong with it.
"""

import asyncio
from functools import partial

import orjson
from msgspec.structs import replace

from ..core.errors import NotFound, NotReady, show
from ..core.observation import observing
from ..core.request import InferRequest, Service, infer
from ..openai import embeddings
from ..openai.errors import as_openai
from ..protocol.requested_outputs import check, no_version
from ..ray_compat.uvicorn_protocol import leaving
from . import server_timing
from .bodies import HEAVY_BYTES, ASGIApp, Given, Receive, Response, Scope, read
from .exchange import begin, read_infer, refuse, write_infer
from .request_head_cache import Endpoint
from .router import Route, application, refusing

__all__ = ["ASGIApp", "build"]


def build(service: Service) -> ASGIApp:
    """Return the ASGI application of one model; Serve's own middleware adds x-request-id to its answers."""
    prefix, endpoint = _prefix(service), Endpoint(service)
    routes = {prefix + path: (endpoint, route) for path, route in _ROUTES.items()}

    def find(scope: Scope) -> tuple[Endpoint, Route[Endpoint]]:
        return routes.get(scope["path"]) or _find(service, scope["path"])

    return application(find, service.authenticator, lambda error, headers: refuse(service, error, headers))


def infer_paths(service: Service) -> dict[str, Endpoint]:
    """Return the paths of /infer, without and with the version, each with its endpoint."""
    prefix, version = _prefix(service), service.version
    return {f"{prefix}/infer": Endpoint(service), f"{prefix}/versions/{version}/infer": Endpoint(service, version)}


def _prefix(service: Service) -> str:
    return f"/v2/models/{service.name}"


def _find(service: Service, path: str) -> tuple[Endpoint, Route[Endpoint]]:
    """Look a path up without its last slash, as relative to the model, or at a version; else say what is wrong."""
    prefix, version = _prefix(service), ""
    trimmed = path.rstrip("/")
    below = trimmed.removeprefix(prefix) if trimmed == prefix or trimmed.startswith(prefix + "/") else trimmed
    parts = below.split("/", 3)
    if parts[1:2] == ["versions"] and len(parts) > 2:
        version, below = parts[2], "".join(f"/{part}" for part in parts[3:])
        if version not in service.versions():
            return Endpoint(service), refusing(no_version(service, version))
    if below in _ROUTES:
        return Endpoint(service, version), _ROUTES[below]
    known = ", ".join(key or "the path itself" for key in _ROUTES)
    missing = NotFound(f"there is nothing at {show(path)}; below {prefix} there is {known}")
    return Endpoint(service), refusing(missing)


async def _metadata(at: Endpoint, _headers: Given, _receive: Receive) -> Response:
    return _json(at.service.metadata(at.version))


async def _config(at: Endpoint, _headers: Given, _receive: Receive) -> Response:
    return _json(at.service.config())


async def _stats(at: Endpoint, _headers: Given, _receive: Receive) -> Response:
    return _json(at.service.stats(at.version))


async def _history(at: Endpoint, _headers: Given, _receive: Receive) -> Response:
    return _json(at.service.history(at.version))


async def _ready(at: Endpoint, _headers: Given, _receive: Receive) -> Response:
    ready = at.service.ready(at.version)
    return Response(orjson.dumps({"name": at.service.name, "ready": ready}), 200 if ready else 503, compress=False)


async def _infer(at: Endpoint, headers: Given, receive: Receive) -> Response:
    service = at.service
    body = await read(headers, receive, service.tunables.max_body_mib)
    with observing(begin(service, "infer", headers) or server_timing.asked(headers)) as observed:
        request = read_infer(service, headers, body, at.version, observed)
        if not service.ready(at.version):
            raise NotReady
        reply = write_infer(service, headers, request, await infer(service, request, leaving(receive)))
    return server_timing.told(reply, headers, observed)


async def _predict(at: Endpoint, headers: Given, receive: Receive) -> Response:
    service, predict = at.service, at.service.predict
    body = await read(headers, receive, service.tunables.max_body_mib)
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    gone, allowed_s = leaving(receive), service.tunables.request_timeout_s
    with observing(begin(service, "predict", headers) or server_timing.asked(headers)) as seen:
        given = await predict.read(body, content_type, allowed_s, gone)
        rows, drawn, told = check(service.signature, given.inputs), given.seed, given.parameters
        if seen is not None:
            seen.read(rows, None)
        request = InferRequest(given.inputs, rows, version=at.version, seed=drawn, parameters=told, observed=seen)
        if not service.ready(at.version):
            raise NotReady
        result = await infer(service, request, gone)
        if seen is not None:
            seen.answered()
        answer = await predict.write(result.outputs, given.single, allowed_s, gone)
    return server_timing.told(Response(answer.body, content_type=answer.content_type), headers, seen)


async def _embeddings(at: Endpoint, headers: Given, receive: Receive) -> Response:
    service, counted = at.service, embeddings.TokenCount()
    body = await read(headers, receive, service.tunables.max_body_mib)
    work = partial(embeddings.read, body, service.name, service.signature)
    with observing(begin(service, "embeddings", headers)) as seen:
        asked = await asyncio.to_thread(work) if len(body) > HEAVY_BYTES else work()
        if not service.ready(at.version):
            raise NotReady
        request = embeddings.request_of(asked, at.version, counted)
        if seen is not None:
            seen.read(request.rows, None)
        result = await infer(service, replace(request, observed=seen), leaving(receive))
        if seen is not None:
            seen.answered()
        # Vectors are as good as random: compressing them takes time and saves little.
        return Response(embeddings.write(asked, service.name, result, counted.tokens), compress=False)


async def _openai_models(at: Endpoint, _headers: Given, _receive: Receive) -> Response:
    return Response(embeddings.models_list([at.service.name]), compress=False)


def _json(content: object) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), compress=False)


_GET = ("GET", "HEAD")
_ROUTES: dict[str, Route[Endpoint]] = {
    "": Route(_GET, _metadata),
    "/ready": Route(_GET, _ready, open=True),
    "/config": Route(_GET, _config),
    "/stats": Route(_GET, _stats),
    "/history": Route(_GET, _history),
    "/infer": Route(("POST",), _infer),
    "/predict": Route(("POST",), _predict),
    "/v1/embeddings": Route(("POST",), _embeddings, told=as_openai),
    "/v1/models": Route(_GET, _openai_models, told=as_openai),
}
