"""One replica of one model: what Ray Serve starts, on a GPU or on a CPU.

It is the ingress and owns the device, so that a request takes one hop. Ready means warm: `__init__` loads, compiles,
warms and checks the model before Serve lets a request in. torch is imported there, because the task that builds the
application imports this file too, in a process of its own that does not need torch.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from ray import serve

from configs.loader import parse_model
from configs.schema import Tunables
from models.runtime.forward_times import best_rows
from models.runtime.returned_values import check_model_inputs
from models.signature import Array, signature_of
from models.startup.check_results import line

from . import gc_tuning, log_format, malloc_tuning
from .auth.authenticator import Authenticator, open_authenticator
from .batching.batch_result import BatchResult
from .batching.batching import Batcher
from .batching.device_thread import DeviceThread
from .batching.local import LocalDevice, open_device
from .batching.queue import Answer
from .batching.remote import BlockReply
from .bind_addresses import narrow_grpc
from .canary import handle
from .canary.router import CanaryRouter
from .contract import About, Described, contract_of, described
from .core.error_logging import log_once
from .core.errors import InferenceFailed, NotReady, OtherVersion, ServeError
from .core.request import InferRequest
from .grpc import calls
from .grpc import short_path as rpc_short_path
from .health.supervisor import Supervisor
from .http import rest, server_protocol
from .http import short_path as http_short_path
from .metrics.info import info_of
from .metrics.model_metrics import ModelMetrics
from .postprocessing import postprocessor
from .preprocessing import preprocessor
from .protocol.example_request import example_request
from .resources import Placement, confine
from .service import ModelService
from .start_errors import starting
from .tracing.observer import Observer, open_observer

if TYPE_CHECKING:
    from models.startup.open_model import OpenedModel


class Model:
    """Serves one model. Its methods beyond Serve's own are RPCs of the Open Inference service, and what replicas call.

    Ingress replicas call `about`, `block` and `answer_for`; a stable version calls `canary_status` and `answer`.
    """

    async def __init__(self, args: dict[str, Any], placement: Placement) -> None:  # type: ignore[misc]  # As Ray has it.
        began_s = time.monotonic()
        # What __del__ reads comes first: Serve awaits it even if this did not come up.
        self._observer: Observer | None = None
        self._log = log_format.set_up()
        self._config = parse_model(args)
        self._contract = contract_of(args)
        self._placement = placement
        authenticator = open_authenticator(self._config.auth, self._config.name)
        await narrow_grpc()
        thread = DeviceThread()
        thread.start()
        with starting(self._config.name):
            self._served = await thread.call(self._open)
        # With the signature that the start found, where the config leaves it out.
        self._config = self._served.config
        self._observer = open_observer(self._config)
        self._summary = {**self._served.summary(), "example": self._example()}
        self._supervisor = Supervisor(self._served)
        self._metrics = ModelMetrics(self._served.forward_ms, time.monotonic() - began_s)
        device = self._open_device(thread)
        self._batcher = self._open_batcher(device)
        self._supervisor.watch_device(self._config.name, self._batcher, device)
        self.service = self._open_service(authenticator)
        self._grouping = device.grouping
        runner = self._served.runner
        self._watcher = self._metrics.watch(
            lambda: self.service.readings(runner.unwarmed), info_of(self._config, self.properties())
        )
        self._announce()
        gc_tuning.freeze()
        malloc_tuning.give_back()

    async def __del__(self) -> None:
        """Serve awaits this when the replica stops, once its requests are answered."""
        if self._observer is not None:
            await self._observer.flush()

    def __serve_build_asgi_app__(self) -> rest.ASGIApp:
        server_protocol.install()
        http_short_path.offer(rest.infer_paths(self.service))
        rpc_short_path.offer(self.service)
        return rest.build(self.service)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new tunables in place; a bad one is refused and the old ones stay."""
        self.service.reconfigure(user_config)
        self._supervisor.reconfigure(self.service.tunables)

    async def check_health(self) -> None:
        """Serve calls this once a period and before the first request; raises if the replica is unhealthy."""
        await self._supervisor.health.check()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the report for the policy in deployments/autoscaling/; Serve calls this by its name."""
        return self.service.autoscaling_stats()

    async def block(
        self, contract: str, arrays: dict[str, Array], rows: int, timeout_s: float, requests: int, seed: int | None
    ) -> BlockReply:
        """Answer a block that an ingress replica collated: ("answer", outputs), or an error's kind and arguments.

        If a block of several requests fails, nothing is logged: each of them is sent again, alone.
        """
        if contract != self._contract:
            return OtherVersion.kind, ()
        future: asyncio.Future[Answer | Exception] = asyncio.get_running_loop().create_future()

        def on_result(answer: Answer | Exception) -> None:
            if not future.done():
                future.set_result(answer)

        try:
            arrays = check_model_inputs(arrays, rows, self._served.runner.model_inputs, "an ingress replica")
            self._batcher.add(arrays, rows, on_result, timeout_s, seed=seed)
            answer = await future
        except Exception as error:
            answer = error
        if not isinstance(answer, Exception):
            return "answer", answer
        known = answer if isinstance(answer, ServeError) else InferenceFailed(answer)
        if isinstance(known, InferenceFailed) and requests == 1:
            log_once(self._config.name, known)
        return known.kind, known.args

    async def about(self, contract: str) -> About | None:
        """Return to an ingress replica what it needs to know of the device; None to one of another config."""
        if contract != self._contract:
            return None
        runner = self._served.runner
        return About(self._config, self.properties(), runner.model_inputs, self._grouping, runner.cut)

    async def answer_for(self, request: InferRequest, tensors: Described) -> tuple[str, BlockReply]:
        """Answer a request that an ingress replica of another config has read, if its tensors are the same here."""
        version = self._config.version
        if tensors != described(self.service.signature) or request.version not in ("", version):
            return version, (NotReady.kind, ())
        return version, await handle.answer(self.service, request)

    async def canary_status(self) -> dict[str, Any]:
        """Return to the stable version, whose canary this may be, this replica's metadata and statistics."""
        return handle.canary_status(self.service)

    async def answer(self, request: InferRequest) -> BlockReply:
        """Answer a request that the stable version passed on."""
        return await handle.answer(self.service, request)

    def properties(self) -> dict[str, Any]:
        """Return this replica's part of the metadata: where and how the model runs, and the results of its checks."""
        config = self._config
        return {
            "device": self._placement.device,
            "device_asked": config.device,
            "fallback": self._placement.fallback,
            "backend": self._served.how,
            "backend_asked": config.backend,
            "memory_format": config.memory_format,
            "num_cpus": config.num_cpus,
            "ingress_replicas": config.ingress_replicas,
            "batch": config.batch,
            "random": config.random,
            "batch_sizes": list(self._served.runner.layout.sizes),
            "dims": {name: each.model_dump() for name, each in config.dims.items()},
            "shapes": {each.name: list(each.shape) for each in (*config.inputs, *config.outputs) if each.named},
            "started_s": round(self._served.started_s, 2),
            **self._summary,
        }

    def _example(self) -> dict[str, Any] | None:
        examples = self._served.samples.examples
        return (
            None
            if examples is None or examples.invented
            else example_request(signature_of(self._config), examples.first)
        )

    def _open_device(self, thread: DeviceThread) -> LocalDevice:
        supervisor, forward_ms = self._supervisor, self._served.forward_ms
        return open_device(
            thread, supervisor.runner, forward_ms, supervisor.memory_limit, on_loop=self._on_one_cpu_thread()
        )

    def _open_batcher(self, device: LocalDevice) -> Batcher:
        best, most = best_rows(self._served.forward_ms), self._config.max_batch_size
        return Batcher(Tunables(), most, device, self._count_forward, best, self._config.whole)

    def _open_service(self, authenticator: Authenticator | None) -> ModelService:
        served, signature = self._served, signature_of(self._config)
        runner, hook = served.runner, served.samples.preprocess
        return ModelService(
            self._config,
            self._batcher,
            self._metrics,
            CanaryRouter(signature),
            self.properties,
            preprocess=preprocessor(hook, runner.model_inputs, runner.layout.dims, runner.outputs),
            postprocess=postprocessor(served.postprocess, signature.outputs),
            authenticator=authenticator,
            health=self._supervisor.health,
            observer=self._observer,
        )

    def _count_forward(self, ran: BatchResult) -> None:
        self._metrics.count_forward(ran)
        self._supervisor.health.ran(ran)
        if self._observer is not None:
            self._observer.ran(ran)

    def _open(self) -> "OpenedModel":
        from models.startup.open_model import open_model

        confine(self._config, self._placement)
        if self._placement.device == "cpu":
            malloc_tuning.keep_freed()
        return open_model(self._config, self._placement.device, self._placement.fallback, kept=True)

    def _on_one_cpu_thread(self) -> bool:
        """Whether torch uses one CPU thread: then the event loop may run a forward itself."""
        import torch

        return self._placement.device == "cpu" and torch.get_num_threads() == 1

    def _announce(self) -> None:
        if self._placement.fallback:
            self._log.warning("%s: NOT ON A GPU. %s", self._config.name, self._placement.fallback)
        results = "\n".join(f"  {line(result)}" for result in self._served.checks.results)
        steps = ", ".join(f"{step} {took_s:.1f}" for step, took_s in self._served.start_s.items())
        served = self._served
        told = self._config.name, served.chosen, served.started_s, steps, served.checked_by, results
        self._log.info("%s runs as %s, warm after %.1f s (%s); checked by %s:\n%s", *told)


Deployment = serve.deployment(name="Model")(serve.ingress()(calls.servicer(Model)))
DeviceDeployment = serve.deployment(name="Model")(Model)
