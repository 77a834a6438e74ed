"""Asks the canary's application twice a second for its status, and sends it requests for the stable version.

Ray's handle would wait for a replica if there is none. So once the canary does not answer the status call, it gets no
more requests, and those on their way go back at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from msgspec import structs

from models.signature import Array, Signature

from ..batching.remote import BlockReply
from ..core.request import InferRequest

_LOOK_EVERY_S = 0.5
_LOOK_WITHIN_S = 2.0
_log = logging.getLogger("pitstop")


class CanaryUnavailable(Exception):  # noqa: N818  # It is no error: the stable version answers.
    """`reason` labels the counts: away, lost, slow, or the kind of the canary's error.

    `value` has the arguments that make that error again.
    """

    def __init__(self, reason: str, value: tuple[object, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


class Transport(Protocol):
    """Calls the canary; handle.Handle is one."""

    async def canary_status(self) -> dict[str, Any]: ...

    async def answer(self, request: InferRequest) -> BlockReply: ...


class CanaryClient:
    """Watches and asks the canary. `ask` raises CanaryUnavailable if there is no answer, for whatever reason."""

    def __init__(self, application: str, signature: Signature, transport: Transport) -> None:
        self.application = application
        self.status: dict[str, Any] | None = None
        self._transport = transport
        self._described = [each.describe() for each in (*signature.inputs, *signature.outputs)]
        self._lost: asyncio.Future[None] | None = None
        self._logged = ""

    @property
    def up(self) -> bool:
        return self._lost is not None

    @property
    def version(self) -> str | None:
        """The version in its last status; None before the first."""
        return None if self.status is None else str(self.status["metadata"]["versions"][0])

    async def watch_for_ever(self, after: Callable[[], object], pause: Callable[[float], Awaitable[object]]) -> None:
        """Ask for the status, call `after`, and wait, again and again."""
        while True:
            await self.look()
            after()
            await pause(_LOOK_EVERY_S)

    async def look(self, within_s: float = _LOOK_WITHIN_S) -> None:
        """Ask for the status once."""
        try:
            async with asyncio.timeout(within_s):
                status = await self._transport.canary_status()
        except Exception as error:  # Ray has many errors for a lost replica; here they are one.
            self._lose(f"does not answer ({type(error).__name__})")
            return
        metadata = status["metadata"]
        if [*metadata["inputs"], *metadata["outputs"]] != self._described:
            self._lose("takes or gives other tensors than the stable version, and gets no request")
            return
        self.status = status
        if self._lost is None:
            self._lost = asyncio.get_running_loop().create_future()
            self._log_once("answers")

    async def ask(self, request: InferRequest, within_s: float) -> dict[str, Array]:
        """Return the canary's outputs."""
        lost = self._lost
        if lost is None:
            raise CanaryUnavailable("away")
        call = asyncio.ensure_future(
            self._transport.answer(structs.replace(request, timeout_s=within_s, on_prepared=None, observed=None))
        )
        either: list[asyncio.Future[Any]] = [call, lost]
        try:
            await asyncio.wait(either, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not call.done():
                call.cancel()
        if not call.done() or call.cancelled():
            raise CanaryUnavailable("lost" if lost.done() else "slow")
        if call.exception() is not None:
            raise CanaryUnavailable("lost")
        kind, value = call.result()
        if kind != "answer":
            raise CanaryUnavailable(kind, value)
        outputs: dict[str, Array] = value
        return outputs

    def close(self) -> None:
        """Fail the requests on their way, so that the stable version answers them."""
        if self._lost is not None:
            self._lost.set_result(None)
            self._lost = None

    def _lose(self, why: str) -> None:
        self.close()
        self._log_once(why)

    def _log_once(self, what: str) -> None:
        if what != self._logged:
            self._logged = what
            _log.warning("the canary %s %s", self.application, what)
