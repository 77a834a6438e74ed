"""One replica of one model: what Ray Serve starts, on a GPU or on a CPU.

It is the ASGI ingress and the owner of the batcher in one, so that a request takes one hop. Ready means warm: the
model is loaded, compiled, warmed and proved in `__init__`, before Serve lets a request in.
"""

import asyncio
import time
from typing import Any

import numpy as np
from ray import serve

from configs.loader import parse_model, parse_tunables
from configs.schema import Tunables
from models.layout import Shape
from models.served import Served, open_model, summary
from models.signature import Array
from models.source import resolve

from . import log, quick, rest, rpc, short_path
from .batching import Batcher
from .efficiency import Efficiency
from .errors import BadRequest
from .inference import InferRequest, Outputs
from .metrics import Metrics
from .predict import Predictor
from .queue import Settle
from .ran import Ran
from .resources import Placement, confine
from .stats import Stats

# Above this many rows preprocessing leaves the event loop; below, the hop to a thread costs more than it frees.
_PREPROCESS_INLINE_ROWS = 8


class Model:
    """Serves one model. Attributes and methods that a transport may use are those of inference.Service."""

    async def __init__(self, args: dict[str, Any], placement: Placement) -> None:  # type: ignore[misc]  # As Ray has it.
        self._log = log.set_up()
        self._config = parse_model(args)
        self._placement = placement
        self._stats = Stats()
        self._metrics = Metrics(self._stats)
        self.name, self.version = self._config.name, self._config.version
        self._batcher = Batcher(Tunables(), self._config.max_rows, self._ran)
        self._served = await self._batcher.worker.call(self._open)
        self.signature = self._served.signature
        self.predict = self._predictor()
        self.quick = quick.reader(self.signature)
        self._tasks: set[asyncio.Task[None]] = set()
        self._batcher.worker.serve(self._served.runner, self._inline_ms())
        self._efficiency = Efficiency(self._stats, self._served.forward_ms)
        self._pusher = asyncio.create_task(
            self._metrics.push_for_ever(self._efficiency, lambda: self._served.runner.unwarmed)
        )
        self._announce()

    def __serve_build_asgi_app__(self) -> rest.ASGIApp:
        short_path.offer(rest.infer_paths(self), self)
        return rest.build(self)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new tunables in place; a bad one is refused and the old ones stay."""
        self._batcher.reconfigure(parse_tunables(user_config))

    @property
    def tunables(self) -> Tunables:
        return self._batcher.tunables

    def ready(self) -> bool:
        return True

    def begin(self, request: InferRequest, settle: Settle) -> None:
        """Answer a checked request by a call of `settle`, with every output by name or with an error.

        Raises:
            QueueFull: too much is waiting already.
        """
        n = request.rows
        if n == 0:
            settle({each.name: np.empty((0, *each.shape[1:]), each.numpy) for each in self.signature.outputs})
        elif self._served.preprocess is None:
            self._batcher.add(request.inputs, n, settle, request.timeout_s, request.priority, request.gone)
        else:
            task = asyncio.get_running_loop().create_task(self._begin_preprocessed(request, settle))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def infer(self, request: InferRequest) -> Outputs:
        """Answer a checked request; returns every output by name."""
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
        self.begin(request, settle)
        try:
            return await future
        finally:
            left = True

    async def _begin_preprocessed(self, request: InferRequest, settle: Settle) -> None:
        try:
            arrays = await self._preprocess(request.inputs, request.rows)
            self._batcher.add(arrays, request.rows, settle, request.timeout_s, request.priority, request.gone)
        except Exception as error:  # Whoever waits is told by `settle` alone.
            settle(error)

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
            "properties": {**self._properties(), **summary(self._served)},
        }

    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "platform": "pytorch",
            "backend": "pitstop",
            "max_batch_size": self._batcher.worker.limit,
            "dynamic_batching": {},
            "input": [_as_config(tensor.describe()) for tensor in self.signature.inputs],
            "output": [_as_config(tensor.describe()) for tensor in self.signature.outputs],
        }

    def stats(self) -> dict[str, Any]:
        found = self._stats.as_json(self.name, self.version)
        return {"model_stats": [{**found, "pitstop": self._efficiency.as_json()}]}

    def _open(self) -> Served:
        confine(self._config, self._placement)
        return open_model(self._config, self._placement.device, self._placement.fallback)

    def _inline_ms(self) -> dict[Shape, float]:
        """Return the forward's times where the event loop may run it itself: on one CPU thread, which it then is."""
        import torch

        on_cpu = self._placement.device == "cpu" and torch.get_num_threads() == 1
        return self._served.forward_ms if on_cpu else {}

    def _predictor(self) -> Predictor:
        hooks = self._config.predict
        image = resolve(hooks.image) if hooks.image else None
        answer = resolve(hooks.answer) if hooks.answer else None
        return Predictor(self.signature, image, answer)

    async def _preprocess(self, rows: dict[str, Array], n: int) -> dict[str, Array]:
        preprocess = self._served.preprocess
        assert preprocess is not None
        try:
            if n <= _PREPROCESS_INLINE_ROWS:
                return preprocess(rows)
            return await asyncio.to_thread(preprocess, rows)
        except ValueError as error:  # By contract of preprocess, a ValueError is a sentence for the client.
            raise BadRequest(str(error)) from error

    def _ran(self, ran: Ran) -> None:
        self._stats.ran(ran)
        self._stats.last_ms = int(time.time() * 1000)
        self._metrics.ran(ran)

    def _properties(self) -> dict[str, Any]:
        config = self._config
        return {
            "device": self._placement.device,
            "device_asked": config.device,
            "fallback": self._placement.fallback,
            "backend": self._served.how,
            "backend_asked": config.backend,
            "precision": config.precision,
            "memory_format": config.memory_format,
            "num_cpus": config.num_cpus,
            "max_rows": self._batcher.worker.limit,
            "batch_sizes": list(self._served.runner.layout.sizes),
            "started_s": round(self._served.started_s, 2),
        }

    def _announce(self) -> None:
        if self._placement.fallback:
            self._log.warning("%s: NOT ON A GPU. %s", self.name, self._placement.fallback)
        lines = [f"  {verdict.mistake}: no. {verdict.found}" for verdict in self._served.verdicts]
        self._log.info("%s is warm after %.1f s\n%s", self.name, self._served.started_s, "\n".join(lines))


def _as_config(tensor: dict[str, Any]) -> dict[str, Any]:
    datatype = "STRING" if tensor["datatype"] == "BYTES" else tensor["datatype"]
    return {"name": tensor["name"], "data_type": f"TYPE_{datatype}", "dims": tensor["shape"][1:] or [1]}


Deployment = serve.deployment(name="Model")(serve.ingress()(rpc.servicer(Model)))
