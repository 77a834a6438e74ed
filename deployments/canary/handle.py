"""Calls from the stable version to the canary's replicas through Serve's handle, and what a replica answers.

The handle finds the replicas, spreads calls over them, and retries.
"""

import asyncio
from typing import Any

from msgspec import structs

from ..batching.remote import BlockReply
from ..core.error_logging import client_error
from ..core.request import InferRequest, Service, infer
from ..ray_compat import handles


class Handle:
    """Satisfies client.Transport. The application may come, go and change; the handle follows."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._handle: Any = None

    async def canary_status(self) -> dict[str, Any]:
        """Ask for the canary's status; `answer` may be called only after one has come."""
        if self._handle is None:
            handle = await asyncio.to_thread(handles.handle_to, "Model", self._application)
            self._handle = handles.by_grpc(handle)
        status: dict[str, Any] = await self._handle.canary_status.remote()
        return status

    async def answer(self, request: InferRequest) -> BlockReply:
        reply: BlockReply = await self._handle.answer.remote(request)
        return reply


def canary_status(service: Service) -> dict[str, Any]:
    """Return the metadata and statistics of this replica. An answer shows that it is up."""
    version = service.version
    return {"metadata": service.metadata(version), "stats": service.stats(version)["model_stats"][0]}


async def answer(service: Service, request: InferRequest) -> BlockReply:
    """Answer one request with ("answer", outputs), or with an error's kind and arguments."""
    try:
        own = structs.replace(request, version=service.version)
        return "answer", (await infer(service, own)).outputs
    except Exception as error:
        known = client_error(service.name, error, None)
        return known.kind, known.args
