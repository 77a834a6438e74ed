"""The models behind the root application, asked over HTTP. An error of Serve's or HAProxy's becomes one of ours."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from .core.errors import BadRequest, NotFound, NotReady, ServeError, TimedOut, known, show
from .http_client.client import HttpClient
from .http_client.reply import Reply
from .http_client.request import Headers
from .protocol.headers import KIND, LEFT_US, PROTOBUF

# The names that configs.schema allows, but no longer than fits into a path.
_A_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}")
_MOST_VERSION = 256
_PREFIX = "/v2/models/"
# Serve may hold a call while a model starts; no answer in this time means not ready.
_READY_WITHIN_S = 2.0
_TYPE = ("content-type", PROTOBUF.decode())
Ask = Callable[[HttpClient], Coroutine[Any, Any, Reply]]


class ModelLocator(Protocol):
    """Knows where Serve listens, and why a model does not answer; serve_status.ServeStatus is one."""

    async def http_address(self) -> tuple[str, int]: ...

    async def absent(self, name: str) -> NotFound | NotReady: ...


class ModelClient:
    """Asks models by name. Every method raises ServeError if there is no answer."""

    def __init__(self, locator: ModelLocator) -> None:
        self._locator = locator
        self._upstream: HttpClient | None = None

    async def infer(self, name: str, message: bytes, headers: Headers = (), within_s: float | None = None) -> bytes:
        """Return the ModelInferResponse to a ModelInferRequest; both stay bytes."""
        path, sent = f"{_PREFIX}{name}/infer", [_TYPE, *headers]
        if within_s is not None:
            sent.append((LEFT_US.decode(), str(int(within_s * 1e6))))
        reply = await self._ask(name, lambda upstream: upstream.post(path, sent, message), within_s)
        if reply.status == 200:
            return reply.body
        raise await self._error(name, reply)

    async def metadata(self, name: str, version: str, headers: Headers, within_s: float | None) -> dict[str, Any]:
        """Return the model's metadata as it is over HTTP."""
        path = _path(name, version)
        reply = await self._ask(name, lambda upstream: upstream.get(path, headers), within_s)
        if reply.status != 200:
            raise await self._error(name, reply)
        metadata: dict[str, Any] = orjson.loads(reply.body)
        return metadata

    async def post(self, name: str, path: str, headers: Headers, body: bytes) -> Reply:
        """Return a model's own answer to a POST, be it an error; `path` is below the model's."""
        reply = await self._ask(name, lambda upstream: upstream.post(f"{_PREFIX}{name}{path}", headers, body), None)
        if reply.status == 200 or KIND in reply.headers:
            return reply
        raise await self._error(name, reply)

    async def ready(self, name: str, version: str) -> bool:
        """Return whether a model is ready; raises NotFound only if there is no such model."""
        path = _path(name, version) + "/ready"
        try:
            reply = await self._ask(name, lambda upstream: upstream.get(path), _READY_WITHIN_S)
            if reply.status == 200:
                return True
            raise await self._error(name, reply)
        except (NotReady, TimedOut):
            return False

    def close(self) -> None:
        if self._upstream is not None:
            self._upstream.close()

    async def _ask(self, name: str, ask: Ask, within_s: float | None) -> Reply:
        if not name:
            raise BadRequest("the message names no model")
        if not _A_NAME.fullmatch(name):
            raise await self._locator.absent(name)
        upstream = self._upstream
        try:
            async with asyncio.timeout(within_s):
                if upstream is None:
                    upstream = self._upstream = HttpClient(*await self._locator.http_address())
                return await ask(upstream)
        except TimeoutError:
            raise TimedOut from None
        except OSError:
            # Its node may be gone for good: the next call asks again where Serve listens.
            if upstream is not None and upstream is self._upstream:
                upstream.close()
                self._upstream = None
            raise await self._locator.absent(name) from None

    async def _error(self, name: str, reply: Reply) -> ServeError:
        """Return the error of a reply; one without a kind is Serve's or HAProxy's and never reached the model."""
        kind = reply.headers.get(KIND)
        if kind is not None:
            return known(kind.decode("latin-1"), reply.status, orjson.loads(reply.body)["error"])
        return TimedOut() if reply.status == 408 else await self._locator.absent(name)


def _path(name: str, version: str) -> str:
    if len(version) > _MOST_VERSION:
        raise NotFound(f"model {show(name)} has no version {show(version)}")
    return f"{_PREFIX}{name}" + (f"/versions/{quote(version, safe='')}" if version else "")
