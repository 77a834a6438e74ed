"""The way to the canary's replicas, through Serve's handle: it finds them, spreads calls over them, and retries."""

import asyncio
from typing import Any

from models.signature import Array

from ..batching.remote import Reply
from ..ray_compat import handles


class Handle:
    """Satisfies other.Ways. The application may come, go and change; the handle follows."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._handle: Any = None

    async def card(self) -> dict[str, Any]:
        """Ask the canary what it is; only after an answer it may be asked for more."""
        if self._handle is None:
            found = await asyncio.to_thread(handles.handle_to, "Model", self._application)
            self._handle = handles.by_reference(found)
        card: dict[str, Any] = await self._handle.card.remote()
        return card

    async def answer(self, inputs: dict[str, Array], rows: int, timeout_s: float, priority: int) -> Reply:
        reply: Reply = await self._handle.answer.remote(inputs, rows, timeout_s, priority)
        return reply
