"""Makes Serve's own proxy answer 503 with Retry-After at once for a model without a replica.

Serve would hold the request until a replica is up, however long the model loads. HAProxy too sends requests of such a
model to that proxy. Only requests of a model that may be scaled to zero are held: they start its replica.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson

from .applications import not_ready
from .core.errors import NotReady
from .ray_compat import proxies
from .ray_compat.proxies import Send
from .serve_status import ServeStatus
from .stubs import open_inference_pb2 as pb

# For reading the rest of a body after its answer: otherwise the connection would break while the client still sends.
_BODY_S = 10.0


def install() -> None:
    """Put our answers before Serve's, if this process is a proxy; else do nothing."""
    serve_status = ServeStatus("")
    proxies.replace_sending(
        lambda original: answering(original, serve_status, _http),
        lambda original: answering(original, serve_status, _grpc),
    )


def answering(
    original: Send, serve_status: ServeStatus, write: Callable[[Any, str, NotReady], AsyncIterator[Any]]
) -> Send:
    """Return a function that sends a request to a replica if there is one or will be one, and else answers itself."""

    async def send(self: Any, *, handle: Any, proxy_request: Any, **given: Any) -> AsyncIterator[Any]:
        name = str(handle.deployment_id.app_name)
        refused = None if proxies.has_replicas(handle) else await refusal(serve_status, name)
        if refused is None:
            messages = original(self, handle=handle, proxy_request=proxy_request, **given)
        else:
            messages = write(proxy_request, name, refused)
        async with contextlib.aclosing(messages) as sent:  # type: ignore[type-var]  # Both are generators.
            async for message in sent:
                yield message

    return send


async def refusal(serve_status: ServeStatus, name: str) -> NotReady | None:
    """Return the error for a request to an application without replicas; None if the request must wait for one."""
    try:
        apps = await serve_status.apps()
    except Exception:  # Then Serve handles the request as usual.
        return None
    asked = next((app for app in apps if app.name == name), None)
    return None if asked is None or asked.ready or asked.held else not_ready(asked)


async def _http(request: Any, name: str, error: NotReady) -> AsyncIterator[Any]:
    if request.request_type == "websocket":
        yield {"type": "websocket.close", "code": 1013, "reason": error.message}
        yield proxies.status("1013")
        return
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_discard(request.receive), _BODY_S)
    is_probe = str(request.path).rstrip("/").endswith("/ready")
    body = orjson.dumps({"name": name, "ready": False} if is_probe else {"error": error.message})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *error.headers]
    yield {"type": "http.response.start", "status": error.status, "headers": headers}
    yield {"type": "http.response.body", "body": b"" if request.method == "HEAD" else body, "more_body": False}
    yield proxies.status(error.status)


async def _discard(receive: Callable[[], Any]) -> None:
    """Read a body to its end."""
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return


async def _grpc(request: Any, _name: str, error: NotReady) -> AsyncIterator[Any]:
    import grpc

    if request.method_name == "ModelReady":
        yield pb.ModelReadyResponse(ready=False).SerializeToString()
        yield proxies.status(grpc.StatusCode.OK, is_error=False)
        return
    yield proxies.status(grpc.StatusCode.UNAVAILABLE, error.message)
