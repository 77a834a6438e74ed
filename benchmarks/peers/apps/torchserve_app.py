"""The models on TorchServe: a Java front, and one worker process. The handler is its custom kind, a bare `handle`."""

from typing import Any

from benchmarks import networks

from . import settings

_state: dict[str, networks.Model] = {}


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[Any] | None:  # noqa: ARG001
    """Answer a batch; TorchServe calls once with nothing, to load."""
    if not _state:
        _state["model"] = networks.load(settings.WORKLOAD, settings.MAX_ROWS)
    if data is None:
        return None
    bodies = [each["body"] for each in data]
    if settings.IMAGES:
        return [row.tobytes() for row in _state["model"]([bytes(body) for body in bodies])]
    return [{"y": row.tolist()} for row in _state["model"]([settings.value_of(body) for body in bodies])]
