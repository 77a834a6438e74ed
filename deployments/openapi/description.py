"""Asks the models that are ready for their metadata, and describes the server by it.

A model with `auth` shows its metadata only to a token that is valid for it, so each token has a description of its own.
"""

import asyncio
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from configs.document import read

from ..answer_cache import AnswerCache
from ..applications import App
from ..core.errors import ServeError, sentence
from ..http_client.request import Headers
from ..protocol.headers import FOR_PAGE
from .document import Described, document

_WITHIN_S = 2.0


class Models(Protocol):
    """Asks a model; model_client.ModelClient is one."""

    async def metadata(self, name: str, version: str, headers: Headers, within_s: float | None) -> dict[str, Any]: ...


class Applications(Protocol):
    """Knows which models run; serve_status.ServeStatus is one."""

    async def apps(self) -> list[App]: ...


class Found(NamedTuple):
    """What the models said, and the description made of it. `locked`: the models that ask for a token."""

    models: dict[str, Described]
    left_out: dict[str, str]
    locked: list[str]
    text: bytes


class Description:
    """The OpenAPI description of a server."""

    def __init__(self, applications: Applications, models: Models, server: dict[str, Any], secured: bool) -> None:
        self._applications = applications
        self._models = models
        self._server = server
        self._secured = secured
        self._found = AnswerCache[Found]()

    async def text(self, authorization: bytes | None) -> bytes:
        """Return it as JSON, for the sender of this Authorization header.

        Raises:
            Exception: Serve did not say what runs.
        """
        apps = await self._applications.apps()
        found = await self._found.get(b"", partial(self._of_all, apps))
        # Headers that nobody asks for, or that change all the time, cause no requests.
        if found.locked and authorization and authorization.isascii():
            found = await self._found.get(authorization, partial(self._of_locked, found, authorization.decode()))
        return found.text

    async def _of_all(self, apps: list[App]) -> Found:
        ready = [app.name for app in apps if app.ready]
        answers = await self._ask(ready, ())
        models = {name: Described(each, secured=False) for name, each in answers.items() if isinstance(each, dict)}
        left_out = {app.name: "it is not ready" for app in apps if not app.ready} | _why_not(answers)
        locked = [name for name, each in answers.items() if isinstance(each, ServeError) and each.status == 401]
        return await self._made(models, left_out, locked)

    async def _of_locked(self, plain: Found, authorization: str) -> Found:
        """Return what a token shows: the models that ask for one and take this one, beside all others."""
        answers = await self._ask(plain.locked, [("authorization", authorization)])
        opened = {name: Described(each, secured=True) for name, each in answers.items() if isinstance(each, dict)}
        kept = {name: why for name, why in plain.left_out.items() if name not in opened}
        return await self._made(plain.models | opened, kept | _why_not(answers), plain.locked)

    async def _made(self, models: dict[str, Described], left_out: dict[str, str], locked: list[str]) -> Found:
        def write() -> bytes:
            ordered = dict(sorted(models.items()))
            return orjson.dumps(document(general(), self._server, ordered, left_out, self._secured))

        return Found(models, left_out, locked, await asyncio.to_thread(write))

    async def _ask(self, names: list[str], headers: Headers) -> dict[str, dict[str, Any] | ServeError]:
        """Return the metadata of each model, or why it gave none."""

        async def one(name: str) -> dict[str, Any] | ServeError:
            try:
                return await self._models.metadata(name, "", [*headers, (FOR_PAGE.decode(), "1")], _WITHIN_S)
            except ServeError as error:
                return error

        return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


def _why_not(answers: Mapping[str, object]) -> dict[str, str]:
    return {name: sentence(each) for name, each in answers.items() if isinstance(each, ServeError)}


@cache
def general() -> dict[str, Any]:
    """Return the description of every server's routes, which nobody changes."""
    return read(Path(__file__).with_name("openapi.yaml")).raw
