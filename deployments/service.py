"""One model as a transport sees it (inference.Service): what it is, what it counted, and a way to ask it.

The same in a replica that owns a device and in an ingress replica that sends blocks to one; they differ in the batcher
that they hand over.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from configs.loader import parse_tunables
from configs.schema import Tunables
from models.returned import too_long

from .batching.batching import Batcher
from .batching.queue import Answer
from .canary.router import CanaryRouter
from .errors import BadRequest
from .figures.model_metrics import ModelMetrics
from .health.health import Health
from .inference import InferRequest, InferResult, ModelInfo, OnInferResult
from .preprocessing import Preprocessor
from .protocol.asked import no_version


class ModelService:
    """Satisfies inference.Service. `properties` is what metadata tells of where and how the model runs."""

    def __init__(
        self,
        info: ModelInfo,
        batcher: Batcher,
        metrics: ModelMetrics,
        canary: CanaryRouter,
        properties: Callable[[], dict[str, Any]],
        preprocess: Preprocessor | None = None,
        health: Health | None = None,
    ) -> None:
        self.info = info
        self._batcher = batcher
        self.counts = metrics
        self._canary = canary
        self._properties = properties
        self._preprocess = preprocess
        self._health = health
        # Where the wire's own arrays have an open size: beyond the last length that is warmed the model is not run.
        self._longest = info.longest if preprocess is None else None
        self._open_inputs = tuple(each.name for each in info.signature.inputs if not each.fixed)
        self._tasks: set[asyncio.Task[None]] = set()

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take new tunables in place, the canary's share among them; a bad one is refused and the old ones stay."""
        tunables = parse_tunables(user_config)
        # What the start timed is a default; a number in the YAML is a decision.
        self._batcher.max_rows = self.info.max_rows if tunables.max_rows else self.info.best_rows
        self._batcher.reconfigure(tunables)
        self._canary.reconfigure(tunables.canary)

    @property
    def tunables(self) -> Tunables:
        return self._batcher.tunables

    def versions(self) -> tuple[str, ...]:
        """Return the versions that a client may ask for, the model's own first."""
        canary = self._canary.version
        return (self.info.version,) if canary is None else (self.info.version, canary)

    def ready(self, version: str = "") -> bool:
        if version in ("", self.info.version):
            return self._batcher.closed is None
        return version == self._canary.version and self._canary.up

    def begin(self, request: InferRequest, on_result: OnInferResult) -> None:
        """Answer a checked request by a call of `on_result`, with every output by name or with an error.

        Raises:
            QueueFull: too much is waiting already.
            BadRequest: a row is longer than the longest that was warmed.
            NotFound: the version asked for is no longer here.
        """
        version = self.info.version
        if request.version != version:
            if self._canary.begin(request, on_result, self):
                return
            if request.version:
                raise no_version(self, request.version)

        def deliver(answer: Answer | Exception) -> None:
            failed = isinstance(answer, Exception)
            on_result(InferResult(version, {}, answer) if failed else InferResult(version, answer))

        rows, batcher = request.rows, self._batcher
        if self._longest and (sentence := too_long(request.inputs, self._open_inputs, self._longest)):
            raise BadRequest(sentence)
        if rows == 0:
            deliver({each.name: np.empty((0, *each.shape[1:]), each.numpy) for each in self.info.signature.outputs})
        elif self._preprocess is None:
            batcher.add(request.inputs, rows, deliver, request.timeout_s, request.priority, request.is_disconnected)
        else:
            batcher.admit(rows)
            batcher.preparing_rows += rows
            task = asyncio.get_running_loop().create_task(self._preprocessed(request, deliver, self._preprocess))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def metadata(self, version: str = "") -> dict[str, Any]:
        """Return the protocol's metadata, and beside it what this replica is and what its start proved."""
        info, canary = self.info, self._canary.status
        own = {
            "name": info.name,
            "versions": [info.version],
            "platform": "pytorch",
            "inputs": [tensor.describe() for tensor in info.signature.inputs],
            "outputs": [tensor.describe() for tensor in info.signature.outputs],
            "properties": {**self._properties(), "max_rows": self._batcher.limit},
        }
        if canary is None or version == info.version:
            return own
        return {**(canary["metadata"] if version else own), "name": info.name, "versions": list(self.versions())}

    def config(self) -> dict[str, Any]:
        limit, signature = self._batcher.limit, self.info.signature
        return {
            "name": self.info.name,
            "platform": "pytorch",
            "backend": "pitstop",
            "max_batch_size": limit,
            "dynamic_batching": {},
            "input": [_as_config(tensor.describe()) for tensor in signature.inputs],
            "output": [_as_config(tensor.describe()) for tensor in signature.outputs],
        }

    def stats(self, version: str = "") -> dict[str, Any]:
        """Return an entry for each version; the canary's are those of the replica that was asked last."""
        info = self.info
        entry = self.counts.as_json(info.name, info.version)
        if self._health is not None:
            entry["pitstop"]["health"] = {**self._health.as_json(), "not_finite": self.counts.failures("not_finite")}
        if version == info.version:
            return {"model_stats": [entry]}
        share, status = self._canary.as_json(), self._canary.status
        if share is not None:
            entry["pitstop"]["canary"] = share
        return {"model_stats": [entry] if status is None else [entry, {**status["stats"], "name": info.name}]}

    def autoscaling_stats(self) -> dict[str, float]:
        """Return what the autoscaling policy reads, of the time since the last call; call it on the event loop."""
        batcher = self._batcher
        return self.counts.autoscaling(batcher.waiting_rows, batcher.offered_rows, batcher.limit)

    async def _preprocessed(
        self, request: InferRequest, deliver: Callable[[Answer | Exception], None], preprocess: Preprocessor
    ) -> None:
        batcher, rows = self._batcher, request.rows
        until_s = time.perf_counter() + batcher.allowed_s(request.timeout_s)
        try:
            try:
                arrays = await preprocess(request, until_s)
            finally:
                batcher.preparing_rows -= rows
            left_s = until_s - time.perf_counter()
            batcher.add(arrays, rows, deliver, left_s, request.priority, request.is_disconnected)
        except Exception as error:  # Whoever waits is told by the result alone.
            deliver(error)


def _as_config(tensor: dict[str, Any]) -> dict[str, Any]:
    datatype = "STRING" if tensor["datatype"] == "BYTES" else tensor["datatype"]
    return {"name": tensor["name"], "data_type": f"TYPE_{datatype}", "dims": tensor["shape"][1:] or [1]}
