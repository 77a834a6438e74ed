"""One model as a transport sees it (request.Service): its metadata, its counts, and inference.

The same in a replica that owns a device and in an ingress replica that sends blocks to one; only the batcher differs.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from configs.loader import parse_tunables
from configs.schema import ModelConfig, Tunables
from models.runtime.dims import OpenSizes, dims_in
from models.runtime.value_ranges import ValueRanges
from models.signature import signature_of

from .auth.authenticator import Authenticator
from .autoscaling.policy import TARGET
from .batching.batching import Batcher
from .batching.queue import Answer, OnResult
from .canary.router import CanaryRouter
from .contract import Elsewhere
from .core.errors import BadRequest, NotFound
from .core.observation import ObserverProtocol
from .core.request import InferRequest, InferResult, IsDisconnected, OnInferResult
from .health.health import Health
from .http import json_fast_path
from .metrics.history import EVERY_S
from .metrics.model_metrics import ModelMetrics
from .metrics.readings import NOTHING, Readings
from .postprocessing import Postprocessor
from .predict.predict import predictor
from .preprocessing import Preprocessor
from .protocol.requested_outputs import no_version


class ModelService:
    """Satisfies request.Service. `properties` returns the metadata on where and how the model runs.

    `elsewhere` answers the requests of an ingress replica whose device has another config than it.

    Its fields are set here and never reassigned.
    """

    def __init__(
        self,
        config: ModelConfig,
        batcher: Batcher,
        counts: ModelMetrics,
        canary: CanaryRouter,
        properties: Callable[[], dict[str, Any]],
        *,
        preprocess: Preprocessor | None = None,
        postprocess: Postprocessor | None = None,
        authenticator: Authenticator | None = None,
        health: Health | None = None,
        elsewhere: Elsewhere | None = None,
        observer: ObserverProtocol | None = None,
    ) -> None:
        self.name, self.version, self.authenticator = config.name, config.version, authenticator
        self.signature = signature_of(config)
        self.predict = predictor(config)
        self.read_usual_json = json_fast_path.reader(self.signature)
        self.counts = counts
        self.observer = observer
        self._batcher = batcher
        self._canary = canary
        self._properties = properties
        self._preprocess = preprocess
        self._postprocess = postprocess
        self._health = health
        self._elsewhere = elsewhere
        self._random, self._whole = config.random, config.whole
        # If a client's arrays have open sizes, those beyond the warmed ones are refused.
        dims = dims_in(config.open_dims) if preprocess is None else ()
        self._open_sizes = OpenSizes(dims, self.signature.inputs) if dims else None
        self._ranges = ValueRanges(self.signature.inputs, dims)
        self._tasks: set[asyncio.Task[None]] = set()

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take new tunables in place, the canary's share among them; a bad one is refused and the old ones stay."""
        tunables = parse_tunables(user_config)
        self._batcher.reconfigure(tunables)
        self._canary.reconfigure(tunables.canary)

    @property
    def tunables(self) -> Tunables:
        return self._batcher.tunables

    def versions(self) -> tuple[str, ...]:
        """Return the versions that a client may ask for, the model's own first."""
        canary = self._canary.version
        return (self.version,) if canary is None else (self.version, canary)

    def ready(self, version: str = "") -> bool:
        if version in ("", self.version):
            return self._batcher.closed is None
        return version == self._canary.version and self._canary.up

    def begin(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None = None
    ) -> None:
        """Answer a checked request by a call of `on_result`, with every output by name or with an error.

        Raises:
            QueueFull: too much is waiting already.
            Unavailable: the replica is unhealthy.
            BadRequest: a size is larger than any that was warmed, its inputs differ in a size that they share, a whole
                number is outside of its input's low and high, or it has more rows than may wait, or, if it must not be
                split, than one forward takes.
            NotFound: the version asked for is no longer here.
        """
        version = self.version
        if request.version != version:
            if self._canary.begin(request, on_result, is_disconnected, self):
                return
            if request.version:
                raise no_version(self, request.version)

        def answered(answer: Answer | Exception) -> None:
            if isinstance(answer, Exception):
                on_result(InferResult(version, {}, answer))
            else:
                on_result(InferResult(version, answer))

        rows, batcher = request.rows, self._batcher
        deliver: OnResult = answered
        if self._open_sizes is not None and (sentence := self._open_sizes.refused(request.inputs)):
            raise BadRequest(sentence)
        if self._ranges and (sentence := self._ranges.refused(request.inputs)):
            raise BadRequest(f"{sentence}: send values in this range")
        if rows == 0:
            deliver({each.name: each.no_rows for each in self.signature.outputs})
            return
        if self._postprocess is not None:
            deliver = self._postprocessed(request, deliver, is_disconnected, self._postprocess)
        if self._elsewhere is not None:
            allowed_s = batcher.allowed_s(request.timeout_s)
            deliver = self._elsewhere.around(request, version, allowed_s, deliver, on_result)
        seed = request.seed if self._random else None
        if self._preprocess is None:
            given = request.timeout_s, request.priority, is_disconnected, seed, request.observed
            batcher.add(request.inputs, rows, deliver, *given)
        else:
            batcher.admit(rows, seed)
            batcher.rows_in_hooks += rows
            self._start(self._prepared(request, deliver, is_disconnected, self._preprocess, seed))

    def metadata(self, version: str = "") -> dict[str, Any]:
        """Return the protocol's metadata, with this replica's properties and the results of its checks."""
        canary = self._canary.status
        own = {
            "name": self.name,
            "versions": [self.version],
            "platform": "pytorch",
            "inputs": [tensor.describe() for tensor in self.signature.inputs],
            "outputs": [tensor.describe() for tensor in self.signature.outputs],
            "properties": {
                **self._properties(),
                "max_batch_size": self._batcher.limit,
                "ranges": {each.name: each.describe() for each in self._ranges.ranges},
                "predict_takes": self.predict.takes,
                "predict_reads": self.predict.reads,
            },
        }
        if canary is None or version == self.version:
            return own
        return {**(canary["metadata"] if version else own), "name": self.name, "versions": list(self.versions())}

    def config(self) -> dict[str, Any]:
        limit, signature = self._batcher.limit, self.signature
        return {
            "name": self.name,
            "platform": "pytorch",
            "backend": "pitstop",
            "max_batch_size": limit,
            "dynamic_batching": {},
            "input": [_as_config(tensor.describe()) for tensor in signature.inputs],
            "output": [_as_config(tensor.describe()) for tensor in signature.outputs],
        }

    def stats(self, version: str = "") -> dict[str, Any]:
        """Return an entry for each version; the canary's is from the replica that answered last."""
        entry = self.counts.as_json(self.name, self.version)
        if self._health is not None:
            entry["pitstop"]["health"] = {**self._health.as_json(), "not_finite": self.counts.failures("not_finite")}
        if version == self.version:
            return {"model_stats": [entry]}
        share, status = self._canary.as_json(), self._canary.status
        if share is not None:
            entry["pitstop"]["canary"] = share
        return {"model_stats": [entry] if status is None else [entry, {**status["stats"], "name": self.name}]}

    def history(self, version: str = "") -> dict[str, Any]:
        """Return what this replica did in the last 15 minutes (metrics/history.py), and its limits and targets now.

        `forwards_here` is False in an ingress replica: its forwards are blocks, on their way to a device and back.
        """
        if version not in ("", self.version):
            raise NotFound(f"version {version!r} is the canary: its own application has its history")
        batcher = self._batcher
        return {
            "version": self.version,
            "every_s": EVERY_S,
            "forwards_here": self._elsewhere is None,
            "limits": {
                "max_batch_size": batcher.limit,
                "max_queue_size": batcher.tunables.max_queue_size,
                "request_timeout_s": batcher.tunables.request_timeout_s,
            },
            "targets": batcher.tunables.targets.model_dump(),
            "samples": self.counts.samples(batcher.waiting_rows),
        }

    def autoscaling_stats(self) -> dict[str, float]:
        """Return the autoscaling report for the time since the last call; call it on the event loop."""
        batcher, limit = self._batcher, self._batcher.limit
        if self._whole:
            # Larger batches are faster, but no forward has more rows than its request.
            limit = self.counts.rows_a_forward() or limit
        report = self.counts.autoscaling(batcher.waiting_rows, batcher.offered_rows, limit)
        target_ms = self.tunables.targets.queue_ms
        return report if target_ms is None else {**report, TARGET: target_ms}

    def readings(self, unwarmed: int = 0) -> Readings:
        """Return what Prometheus is told beside the counts; `unwarmed` counts forwards of shapes not warmed."""
        tunables, health = self.tunables, self._health
        return Readings(
            self._batcher.waiting_rows,
            tunables.max_queue_size,
            tunables.targets.queue_ms or NOTHING,
            tunables.targets.p99_ms or NOTHING,
            NOTHING if health is None else float(health.why is None),
            0 if health is None else health.probes,
            0 if health is None else health.out_of_memory,
            unwarmed,
        )

    async def _prepared(
        self,
        request: InferRequest,
        deliver: OnResult,
        is_disconnected: IsDisconnected | None,
        preprocess: Preprocessor,
        seed: int | None,
    ) -> None:
        batcher, rows = self._batcher, request.rows
        until_s = time.perf_counter() + batcher.allowed_s(request.timeout_s)
        try:
            try:
                arrays = await preprocess(request, until_s, is_disconnected)
            finally:
                batcher.rows_in_hooks -= rows
            if request.on_prepared is not None:
                request.on_prepared(arrays)
            left_s = until_s - time.perf_counter()
            given = left_s, request.priority, is_disconnected, seed, request.observed
            batcher.add(arrays, rows, deliver, *given)
        except Exception as error:  # Only a result ends the request.
            deliver(error)

    def _postprocessed(
        self,
        request: InferRequest,
        deliver: OnResult,
        is_disconnected: IsDisconnected | None,
        postprocess: Postprocessor,
    ) -> OnResult:
        """Return the callback for the network's answer: it runs the hook and gives its outputs to `deliver`."""
        until_s = time.perf_counter() + self._batcher.allowed_s(request.timeout_s)

        def took(answer: Answer | Exception) -> None:
            if isinstance(answer, Exception):
                deliver(answer)
            elif postprocess.threads.is_quick(request.rows):
                deliver(postprocess.threads.timed(request.rows, partial(postprocess, answer, request)))
            else:
                self._batcher.rows_in_hooks += request.rows
                self._start(in_thread(answer))

        async def in_thread(answer: Answer) -> None:
            outcome: Answer | Exception
            try:
                work = partial(postprocess, answer, request)
                outcome = await postprocess.threads.run(request.rows, work, until_s, is_disconnected)
            except Exception as error:  # Only a result ends the request.
                outcome = error
            finally:
                self._batcher.rows_in_hooks -= request.rows
            deliver(outcome)

        return took

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _as_config(tensor: dict[str, Any]) -> dict[str, Any]:
    datatype = "STRING" if tensor["datatype"] == "BYTES" else tensor["datatype"]
    return {"name": tensor["name"], "data_type": f"TYPE_{datatype}", "dims": tensor["shape"][1:] or [1]}
