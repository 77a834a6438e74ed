"""Asks the models that are ready for their metadata, and describes the server by it. Kept for a few seconds.

A model with `auth` shows its metadata only to a token that is valid for it, so each token has a description of its own.
"""

import asyncio
import time
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import orjson

from configs.document import read

from ..applications import App
from ..core.errors import ServeError, sentence
from ..http_client.request import Headers
from .document import Described, document

_KEPT_S = 3.0
_MOST_KEPT = 16
_WITHIN_S = 2.0


class Models(Protocol):
    """Asks a model; model_client.ModelClient is one."""

    async def metadata(self, name: str, version: str, headers: Headers, within_s: float | None) -> dict[str, Any]: ...


class Applications(Protocol):
    """Knows which models run; serve_status.ServeStatus is one."""

    async def apps(self) -> list[App]: ...


class Description:
    """The OpenAPI description of a server."""

    def __init__(self, applications: Applications, models: Models, server: dict[str, Any], secured: bool) -> None:
        self._applications = applications
        self._models = models
        self._server = server
        self._secured = secured
        self._kept: dict[bytes, tuple[float, asyncio.Task[bytes]]] = {}

    async def text(self, authorization: bytes | None) -> bytes:
        """Return it as JSON, for the sender of this Authorization header.

        Raises:
            Exception: Serve did not say what runs.
        """
        key = authorization or b""
        made_s, task = self._kept.get(key, (0.0, None))
        if task is None or time.monotonic() - made_s > _KEPT_S:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            task = asyncio.get_running_loop().create_task(self._make(key))
            self._kept[key] = time.monotonic(), task
        return await asyncio.shield(task)

    async def _make(self, authorization: bytes) -> bytes:
        apps = await self._applications.apps()
        ready = [app.name for app in apps if app.ready]
        answers = await asyncio.gather(*(self._ask(name, authorization) for name in ready))
        found = dict(zip(ready, answers, strict=True))
        models = {name: each for name, each in found.items() if isinstance(each, Described)}
        left_out = {app.name: "it is not ready" for app in apps if not app.ready}
        left_out |= {name: each for name, each in found.items() if isinstance(each, str)}
        return orjson.dumps(document(general(), self._server, models, left_out, self._secured))

    async def _ask(self, name: str, authorization: bytes) -> Described | str:
        """Return what a model says of itself, or why it does not."""
        try:
            return Described(await self._models.metadata(name, "", (), _WITHIN_S), secured=False)
        except ServeError as error:
            if error.status != 401 or not (authorization and authorization.isascii()):
                return sentence(error)
        try:
            headers = [("authorization", authorization.decode())]
            return Described(await self._models.metadata(name, "", headers, _WITHIN_S), secured=True)
        except ServeError as error:
            return sentence(error)


@cache
def general() -> dict[str, Any]:
    """Return the description of every server's routes, which nobody changes."""
    return read(Path(__file__).with_name("openapi.yaml")).raw
