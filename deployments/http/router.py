"""A table of routes as raw ASGI, for the application of a model (rest.py) and for the root's (../root.py).

Raw, because a framework costs more than the rest of a small request (`python -m benchmarks.paths` measures both).
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from ..auth.authenticator import AUTHORIZATION
from ..core.errors import MethodNotAllowed, ServeError
from ..core.request import AuthenticatorProtocol
from .bodies import ASGIApp, Disconnected, Given, Receive, Response, Scope, Send, lifespan, send_reply

Context = TypeVar("Context")
# Makes the body of an error in another protocol's form: from the error, its status, and the body in ours.
Told = Callable[[Exception, int, bytes], bytes]
Handler = Callable[[Context, Given, Receive], Awaitable[Response]]


class Route(NamedTuple, Generic[Context]):
    """The methods of a path, () for all, and its handler. `open`: needs no token, as for probes.

    `told` writes its errors in the form of another protocol than ours.
    """

    methods: tuple[str, ...]
    handle: Handler[Context]
    open: bool = False
    told: Told | None = None


def refusing(error: ServeError, told: Told | None = None) -> Route[Any]:
    """Return a route that answers with an error."""

    async def refuse(_context: Any, _headers: Given, _receive: Receive) -> Response:
        raise error

    return Route((), refuse, told=told)


def application(
    find: Callable[[Scope], tuple[Context, Route[Context]]],
    authenticator: AuthenticatorProtocol | None,
    refuse: Callable[[Exception, Given], Response],
) -> ASGIApp:
    """Return the ASGI application that answers with the route from `find`, and with `refuse` after an exception."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        headers: Given = dict(scope["headers"])
        method = scope["method"]
        context, route = find(scope)
        try:
            if authenticator is not None and not route.open:
                authenticator.check(headers.get(AUTHORIZATION))
            if route.methods and method not in route.methods:
                raise MethodNotAllowed(method, route.methods)
            reply = await route.handle(context, headers, receive)
        except Disconnected:
            return
        except Exception as error:  # Nothing above a raw application would answer.
            reply = refuse(error, headers)
            if route.told is not None:
                reply = msgspec.structs.replace(reply, body=route.told(error, reply.status, reply.body))
        await send_reply(send, headers, reply, method == "HEAD")

    # uvicorn takes a bound method for an application of ASGI 2, so this is a function.
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    return app
