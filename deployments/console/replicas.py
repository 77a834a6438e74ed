"""Asks a model's replicas what they did, each at its own address: behind HAProxy a GET reaches only one of them.

Where Serve does not tell addresses, as behind Ray's own proxy, one replica is asked through Serve's port.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from ..applications import App
from ..http_client.client import HttpClient
from ..http_client.reply import Reply
from ..http_client.request import Headers

Address = tuple[str, int]
_WITHIN_S = 2.0
_NO_ANSWER = 503


class Locator(Protocol):
    """Knows where Serve listens; serve_status.ServeStatus is one."""

    async def http_address(self) -> Address: ...


class Asked(NamedTuple):
    """What came of asking a model's replicas. `of` is how many there are; `status`, `error`: why none answered."""

    histories: Sequence[Mapping[str, Any]]
    of: int
    status: int = 200
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"answered": len(self.histories), "of": self.of, "status": self.status, "error": self.error}


class Replicas:
    """Keeps a connection to each address that was asked last."""

    def __init__(self, locator: Locator) -> None:
        self._locator = locator
        self._clients: dict[Address, HttpClient] = {}

    async def ask(self, app: App, addresses: Sequence[Address], headers: Headers) -> Asked:
        """Ask all replicas of a model at once. One without a replica is not asked: that would start one."""
        if not (app.ready and app.replicas):
            return Asked((), 0)
        path, of = f"/v2/models/{app.name}/history", len(addresses) or app.replicas
        replies = await asyncio.gather(*(self._get(address, path, headers) for address in addresses))
        if not any(replies):
            replies = [await self._get(await self._locator.http_address(), path, headers)]
        found = [orjson.loads(reply.body) for reply in replies if reply is not None and reply.status == 200]
        if found:
            return Asked(found, of)
        return Asked((), of, *_refusal(next((reply for reply in replies if reply is not None), None)))

    def keep(self, addresses: Sequence[Address]) -> None:
        """Close the connections to all other addresses: their replicas may be gone."""
        for address in self._clients.keys() - set(addresses):
            self._clients.pop(address).close()

    def close(self) -> None:
        self.keep(())

    async def _get(self, address: Address, path: str, headers: Headers) -> Reply | None:
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = HttpClient(*address)
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await client.get(path, headers)
        except OSError:  # TimeoutError is one.
            return None


def _refusal(reply: Reply | None) -> tuple[int, str]:
    if reply is None:
        return _NO_ANSWER, "no replica answered in time"
    try:
        return reply.status, str(orjson.loads(reply.body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):  # Serve's or HAProxy's own answer.
        return reply.status, f"the answer was {reply.status}"
