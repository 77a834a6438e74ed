"""The canary's application as the stable version sees it: asked twice a second whether it is there, and as what.

Ray's handle waits for a replica where there is none. So the watch decides: once the canary does not answer it, no
request goes there, and those on their way come back at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from models.signature import Array, Signature

from ..batching.remote import Reply
from .away import Away

_LOOK_EVERY_S = 0.5
_LOOK_WITHIN_S = 2.0
_log = logging.getLogger("pitstop")


class Ways(Protocol):
    """How the canary is reached; handle.Handle is the one."""

    async def card(self) -> dict[str, Any]: ...

    async def answer(self, inputs: dict[str, Array], rows: int, timeout_s: float, priority: int) -> Reply: ...


class Other:
    """Raises Away from `ask` for whatever keeps the canary from answering."""

    def __init__(self, application: str, signature: Signature, ways: Ways) -> None:
        self.application = application
        self.card: dict[str, Any] | None = None
        self._ways = ways
        self._described = _described(signature)
        self._gone: asyncio.Future[None] | None = None
        self._told = ""

    @property
    def up(self) -> bool:
        return self._gone is not None

    @property
    def version(self) -> str | None:
        """The version it last said it is; None as long as it has said nothing."""
        return None if self.card is None else str(self.card["metadata"]["versions"][0])

    async def watch_for_ever(self, after: Callable[[], object], pause: Callable[[float], Awaitable[object]]) -> None:
        """Look, call `after`, and wait, again and again."""
        while True:
            await self.look()
            after()
            await pause(_LOOK_EVERY_S)

    async def look(self, within_s: float = _LOOK_WITHIN_S) -> None:
        """Ask whether it is there."""
        try:
            async with asyncio.timeout(within_s):
                card = await self._ways.card()
        except Exception as error:  # Ray has many ways to say that a replica is away; here they are one.
            self._lost(f"does not answer ({type(error).__name__})")
            return
        if _described_in(card["metadata"]) != self._described:
            self._lost("takes or gives other tensors than the stable version, and gets no request")
            return
        self.card = card
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
            self._tell("answers")

    async def ask(self, inputs: dict[str, Array], rows: int, within_s: float, priority: int) -> dict[str, Array]:
        """Return the canary's outputs."""
        gone = self._gone
        if gone is None:
            raise Away("away")
        call = asyncio.ensure_future(self._ways.answer(inputs, rows, within_s, priority))
        either: list[asyncio.Future[Any]] = [call, gone]
        try:
            await asyncio.wait(either, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not call.done():
                call.cancel()
        if not call.done() or call.cancelled():
            raise Away("lost" if gone.done() else "slow")
        if call.exception() is not None:
            raise Away("lost")
        kind, value = call.result()
        if kind != "answer":
            raise Away(kind, value)
        outputs: dict[str, Array] = value
        return outputs

    def close(self) -> None:
        """Send back what is on its way."""
        if self._gone is not None:
            self._gone.set_result(None)
            self._gone = None

    def _lost(self, why: str) -> None:
        self.close()
        self._tell(why)

    def _tell(self, what: str) -> None:
        if what != self._told:
            self._told = what
            _log.warning("the canary %s %s", self.application, what)


def _described(signature: Signature) -> list[Any]:
    return [each.describe() for each in (*signature.inputs, *signature.outputs)]


def _described_in(metadata: dict[str, Any]) -> list[Any]:
    return [*metadata["inputs"], *metadata["outputs"]]
