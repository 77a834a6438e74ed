"""The canary's side: what a replica tells of itself, and how it answers what the stable version hands over."""

from typing import Any

from models.signature import Array

from ..batching.remote import Reply
from ..fault import told
from ..inference import InferRequest
from ..service import ModelService


def card(service: ModelService) -> dict[str, Any]:
    """Return the metadata and statistics of this replica; that they arrive shows that it is up."""
    return {"metadata": service.metadata(), "stats": service.stats()["model_stats"][0]}


async def answer(service: ModelService, inputs: dict[str, Array], rows: int, timeout_s: float, priority: int) -> Reply:
    """Answer one request, as it came on the wire: ("answer", outputs), or an error's kind and arguments."""
    try:
        return "answer", await service.infer(InferRequest(inputs, rows, None, (), timeout_s, priority))
    except Exception as error:
        known = told(service.name, error, None)
        return known.kind, known.args_across
