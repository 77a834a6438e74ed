"""The way from the stable version to the canary's replicas, through Serve's handle, and what a replica says at its end.

The handle finds the replicas, spreads calls over them, and retries.
"""

from typing import Any

from ray import serve

from models.signature import Array

from ..batching.remote import Reply
from ..fault import told
from ..inference import InferRequest, Service, infer


class Handle:
    """Satisfies client.Transport. The application may come, go and change; the handle follows."""

    def __init__(self, application: str) -> None:
        found: Any = serve.get_deployment_handle("Model", application, _check_exists=False, _record_telemetry=False)
        # By gRPC, Serve's default in throughput mode, a request of over 4 MiB would be refused.
        self._handle = found.options(_by_reference=True)

    async def canary_status(self) -> dict[str, Any]:
        status: dict[str, Any] = await self._handle.canary_status.remote()
        return status

    async def answer(self, inputs: dict[str, Array], rows: int, timeout_s: float, priority: int) -> Reply:
        reply: Reply = await self._handle.answer.remote(inputs, rows, timeout_s, priority)
        return reply


def canary_status(service: Service) -> dict[str, Any]:
    """Return the metadata and statistics of this replica alone; that they arrive shows that it is up."""
    version = service.version
    return {"metadata": service.metadata(version), "stats": service.stats(version)["model_stats"][0]}


async def answer(service: Service, inputs: dict[str, Array], rows: int, timeout_s: float, priority: int) -> Reply:
    """Answer one request, as it came on the wire: ("answer", outputs), or an error's kind and arguments."""
    try:
        request = InferRequest(inputs, rows, timeout_s=timeout_s, priority=priority, version=service.version)
        return "answer", (await infer(service, request)).outputs
    except Exception as error:
        known = told(service.name, error, None)
        return known.kind, known.args
