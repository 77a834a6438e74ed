"""One model as a transport sees it (inference.Service): what it is, what it counted, and a way to ask it.

The same in a replica that owns a device and in an ingress replica that sends blocks to one; they differ in the device
that they hand to the batcher.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from configs.loader import parse_tunables
from configs.schema import ModelConfig, Tunables
from models.rates import best_rows
from models.resolve import resolve
from models.returned import too_long
from models.signature import Shape, signature_of

from .access.guard import Guard
from .autoscaling.stats import Recorder
from .batching.batching import Batcher
from .batching.queue import OnResult
from .batching.ran import Ran
from .batching.remote import Device
from .errors import BadRequest
from .figures.efficiency import Efficiency
from .figures.metrics import Metrics
from .figures.stats import Stats
from .health.health import Health
from .http import quick
from .inference import InferRequest, Outputs
from .predict.predict import Predictor
from .preprocessing import Preprocessor


class ModelService:
    """Satisfies inference.Service. `properties` is what metadata tells of where and how the model runs."""

    def __init__(
        self,
        config: ModelConfig,
        device: Device,
        preprocess: Preprocessor | None,
        raw_ms: Mapping[Shape, float],
        properties: Callable[[], dict[str, Any]],
        unwarmed: Callable[[], int],
        guard: Guard | None = None,
    ) -> None:
        self.guard = guard
        self.name, self.version = config.name, config.version
        self.signature = signature_of(config)
        self.predict = _predictor(config)
        self.quick = quick.reader(self.signature)
        self._preprocess = preprocess
        # Where the wire's own arrays have an open size: beyond the last length that is warmed the model is not run.
        self._longest = config.lengths[-1] if config.lengths and preprocess is None else None
        self._open_inputs = tuple(each.name for each in self.signature.inputs if not each.fixed)
        self._properties = properties
        self._stats = Stats()
        self._metrics = Metrics(self._stats)
        self._efficiency = Efficiency(self._stats, raw_ms)
        self.recorder = Recorder(self._stats, raw_ms)
        self._tasks: set[asyncio.Task[None]] = set()
        self.batcher = Batcher(Tunables(), config.max_rows, device, self._ran, best_rows(raw_ms))
        loop = asyncio.get_running_loop()
        self.health: Health | None = None
        self._pusher = loop.create_task(self._metrics.push_for_ever(self._efficiency, unwarmed))

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take new tunables in place; a bad one is refused and the old ones stay."""
        tunables = parse_tunables(user_config)
        self.batcher.reconfigure(tunables)

    @property
    def tunables(self) -> Tunables:
        return self.batcher.tunables

    def at(self, version: str) -> "ModelService | None":
        return self if version == self.version else None

    def ready(self) -> bool:
        return self.batcher.closed is None

    def begin(self, request: InferRequest, settle: OnResult) -> None:
        """Answer a checked request by a call of `settle`, with every output by name or with an error.

        Raises:
            QueueFull: too much is waiting already.
            BadRequest: a row is longer than the longest that was warmed.
        """
        n = request.rows
        if self._longest and (sentence := too_long(request.inputs, self._open_inputs, self._longest)):
            raise BadRequest(sentence)
        if n == 0:
            settle({each.name: np.empty((0, *each.shape[1:]), each.numpy) for each in self.signature.outputs})
        elif self._preprocess is None:
            self.batcher.add(request.inputs, n, settle, request.timeout_s, request.priority, request.gone)
        else:
            self.batcher.admit(n)
            self.batcher.preparing_rows += n
            task = asyncio.get_running_loop().create_task(self._begin_preprocessed(request, settle, self._preprocess))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def infer(self, request: InferRequest) -> Outputs:
        """Answer a checked request; returns every output by name."""
        return await whole(self.begin, request)

    def failed(self, kind: str) -> None:
        self._stats.errors[kind] += 1

    def timed(self, parse_s: float, send_s: float) -> None:
        self._stats.stage_s["parse"] += parse_s
        self._stats.stage_s["send"] += send_s

    def metadata(self) -> dict[str, Any]:
        """Return the protocol's metadata, and beside it what this replica is and what its start proved."""
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": "pytorch",
            "inputs": [tensor.describe() for tensor in self.signature.inputs],
            "outputs": [tensor.describe() for tensor in self.signature.outputs],
            "properties": {**self._properties(), "max_rows": self.batcher.limit},
        }

    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "platform": "pytorch",
            "backend": "pitstop",
            "max_batch_size": self.batcher.limit,
            "dynamic_batching": {},
            "input": [_as_config(tensor.describe()) for tensor in self.signature.inputs],
            "output": [_as_config(tensor.describe()) for tensor in self.signature.outputs],
        }

    def stats(self) -> dict[str, Any]:
        found = self._stats.as_json(self.name, self.version)
        own = self._efficiency.as_json()
        if self.health is not None:
            own["health"] = {**self.health.as_json(), "not_finite": self._stats.errors.get("not_finite", 0)}
        return {"model_stats": [{**found, "pitstop": own}]}

    def autoscaling_stats(self) -> dict[str, float]:
        """Return what the autoscaling policy reads, of the time since the last call; call it on the event loop."""
        return self.recorder.look(self.batcher.waiting_rows, self.batcher.offered_rows, self.batcher.limit)

    async def _begin_preprocessed(self, request: InferRequest, settle: OnResult, preprocess: Preprocessor) -> None:
        until_s = time.perf_counter() + self.batcher.allowed_s(request.timeout_s)
        try:
            try:
                arrays = await preprocess(request, until_s)
            finally:
                self.batcher.preparing_rows -= request.rows
            left_s = until_s - time.perf_counter()
            self.batcher.add(arrays, request.rows, settle, left_s, request.priority, request.gone)
        except Exception as error:  # Whoever waits is told by `settle` alone.
            settle(error)

    def _ran(self, ran: Ran) -> None:
        self._stats.ran(ran)
        self._stats.last_ms = int(time.time() * 1000)
        self._metrics.ran(ran)
        if self.health is not None:
            self.health.ran(ran)


async def whole(begin: Callable[[InferRequest, OnResult], None], request: InferRequest) -> Outputs:
    """Await what `begin` settles; whoever stops waiting has left, as far as the request knows."""
    future: asyncio.Future[Outputs] = asyncio.get_running_loop().create_future()
    left = False

    def settle(answer: Outputs | Exception) -> None:
        if future.done():
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    gone = request.gone
    request.gone = lambda: left or (gone is not None and gone())
    begin(request, settle)
    try:
        return await future
    finally:
        left = True


def _predictor(config: ModelConfig) -> Predictor:
    image, answer = config.predict.image, config.predict.answer
    return Predictor(signature_of(config), resolve(image) if image else None, resolve(answer) if answer else None)


def _as_config(tensor: dict[str, Any]) -> dict[str, Any]:
    datatype = "STRING" if tensor["datatype"] == "BYTES" else tensor["datatype"]
    return {"name": tensor["name"], "data_type": f"TYPE_{datatype}", "dims": tensor["shape"][1:] or [1]}
