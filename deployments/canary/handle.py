"""The way to the canary's replicas, through Serve's handle: it finds them, spreads calls over them, and retries."""

from typing import Any

from ray import serve

from models.signature import Array

from ..batching.remote import Reply


class Handle:
    """Satisfies other.Ways. The application may come, go and change; the handle follows."""

    def __init__(self, application: str) -> None:
        found: Any = serve.get_deployment_handle("Model", application, _check_exists=False, _record_telemetry=False)
        # By gRPC, Serve's default in throughput mode, a request of over 4 MiB would be refused.
        self._handle = found.options(_by_reference=True)

    async def card(self) -> dict[str, Any]:
        card: dict[str, Any] = await self._handle.card.remote()
        return card

    async def answer(self, inputs: dict[str, Array], rows: int, timeout_s: float, priority: int) -> Reply:
        reply: Reply = await self._handle.answer.remote(inputs, rows, timeout_s, priority)
        return reply
