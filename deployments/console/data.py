"""The figures of all models as one JSON."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import orjson
from pydantic import ValidationError

from configs.prices import SHIPPED, load_prices
from configs.problems import ConfigError
from configs.schema import SourceConfig

from ..answer_cache import AnswerCache
from ..applications import App
from ..metrics.info import network_of
from ..protocol.headers import FOR_PAGE
from .replicas import Address, Locator, Replicas
from .series import series

# By application.
Addresses = Mapping[str, Sequence[Address]]
_WITHIN_S = 2.0


class Status(Locator, Protocol):
    """Knows which models there are; serve_status.ServeStatus is one."""

    async def apps(self) -> list[App]: ...

    def config_of(self, name: str) -> Mapping[str, Any]: ...


class ConsoleData:
    """What `GET /console/data` answers."""

    def __init__(
        self,
        status: Status,
        server: Mapping[str, Any],
        addresses: Callable[[], Awaitable[Addresses]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`server` is the server's metadata, `addresses` returns where each application's replicas listen."""
        self._status, self._server, self._addresses = status, server, addresses
        self._replicas = Replicas(status)
        self._found = AnswerCache[bytes](clock)
        self._prices = _prices()

    async def get(self, authorization: bytes | None) -> bytes:
        """Return the JSON; replicas see this Authorization header.

        Raises:
            Exception: whatever ServeStatus.apps raises where the controller is away.
        """
        apps = await self._status.apps()
        # Where no model has tokens, whatever a client sends must not make the replicas be asked again.
        has_tokens = any(self._args(app).get("auth") for app in apps)
        given = authorization if has_tokens and authorization else b""
        return await self._found.get(given, partial(self._collect, apps, given))

    def close(self) -> None:
        self._replicas.close()

    async def _collect(self, apps: Sequence[App], authorization: bytes) -> bytes:
        headers = [(FOR_PAGE.decode(), "1")]
        if authorization:
            headers.append(("authorization", authorization.decode("latin-1")))
        try:
            async with asyncio.timeout(_WITHIN_S):
                addresses = await self._addresses()
        except Exception:  # Then each model is asked through Serve's port.
            addresses = {}
        models = await asyncio.gather(*(self._model(app, addresses.get(app.name, ()), headers) for app in apps))
        if addresses:
            self._replicas.keep([each for found in addresses.values() for each in found])
        return orjson.dumps({"server": self._server, "at": time.time(), "models": models, "prices": self._prices})

    async def _model(self, app: App, addresses: Sequence[Address], headers: list[tuple[str, str]]) -> dict[str, Any]:
        asked = await self._replicas.ask(app, addresses, headers)
        args = self._args(app)
        newest = asked.histories[0] if asked.histories else {}
        return {
            **{key: getattr(app, key) for key in ("name", "version", "state", "reason", "replicas", "canary", "ready")},
            "source": _network(args),
            "num_cpus": args.get("num_cpus", 1),
            "num_gpus": args.get("num_gpus", 1),
            "asked": asked.as_json(),
            "limits": newest.get("limits"),
            "targets": newest.get("targets"),
            "forwards_here": newest.get("forwards_here", True),
            "series": series(asked.histories),
        }

    def _args(self, app: App) -> Mapping[str, Any]:
        return self._status.config_of(app.name).get("args") or {}


def _network(args: Mapping[str, Any]) -> str | None:
    """Return what is the same for applications of the same network; None for one whose args are not a model's."""
    try:
        return network_of(SourceConfig.model_validate(args.get("source")))
    except ValidationError:
        return None


def _prices() -> list[dict[str, Any]]:
    try:
        return [each.model_dump(mode="json") for each in load_prices(SHIPPED).prices]
    except ConfigError:  # Shipped without the examples. The page then takes whatever its user types.
        return []
