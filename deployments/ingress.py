"""An ingress replica: it reads, checks and collates requests on a core of its own, and sends blocks to the device.

For models whose device is faster than one Python loop can read requests: `ingress_replicas: N` puts N of these in front
of the replicas that own a device. docs/tuning.md says when that pays.
"""

import asyncio
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from configs.loader import parse_model
from configs.schema import Tunables
from models.runtime.dims import dims_in
from models.signature import Array, signature_of
from models.sources.hooks import hooks_of

from . import gc_tuning, log_format
from .auth.authenticator import open_authenticator
from .batching.batch_result import BatchResult
from .batching.batching import Batcher
from .batching.remote import BlockReply, RemoteDevice
from .bind_addresses import narrow_grpc
from .canary.router import CanaryRouter
from .contract import About, Elsewhere, contract_of, described
from .core.request import InferRequest
from .grpc import calls
from .grpc import short_path as rpc_short_path
from .health.supervisor import LoopSupervisor
from .http import rest, server_protocol
from .http import short_path as http_short_path
from .metrics.info import info_of
from .metrics.model_metrics import ModelMetrics
from .postprocessing import postprocessor
from .preprocessing import preprocessor
from .ray_compat.handles import by_grpc
from .service import ModelService
from .start_errors import starting
from .tracing.observer import Observer, open_observer

# In a rollout the replica that answers may be of the config before.
_LOOK_EVERY_S = 0.5


class Ingress:
    """Serves a model whose device is in another replica."""

    async def __init__(self, args: dict[str, Any], device: DeploymentHandle[Any]) -> None:  # type: ignore[misc]  # As Ray has it.
        # What __del__ reads comes first: Serve awaits it even if this did not come up.
        self._observer: Observer | None = None
        log_format.set_up()
        config = parse_model(args)
        authenticator = open_authenticator(config.auth, config.name)
        await narrow_grpc()
        self._device = by_grpc(device)
        self._contract = contract_of(args)
        about = await self._about(device)
        config, signature = about.config, signature_of(about.config)
        self._described = described(signature)
        with starting(config.name):
            hooks = hooks_of(config)
        outputs = about.cut.outputs if about.cut else ()
        preprocess = preprocessor(hooks.preprocess, about.model_inputs, dims_in(config.open_dims), outputs)
        loop = asyncio.get_running_loop()
        remote = RemoteDevice(loop, self._block, about.model_inputs, about.grouping, about.cut)
        metrics = ModelMetrics({})
        self._observer = observer = open_observer(config)

        def ran(batch: BatchResult) -> None:
            metrics.count_forward(batch)
            if observer is not None:
                observer.ran(batch)

        batcher = Batcher(Tunables(), config.max_batch_size, remote, ran, whole=config.whole)
        LoopSupervisor().watch(config.name, batcher)
        self.service = ModelService(
            config,
            batcher,
            metrics,
            CanaryRouter(signature),
            lambda: about.properties,
            preprocess=preprocess,
            postprocess=postprocessor(hooks.postprocess, signature.outputs),
            authenticator=authenticator,
            elsewhere=Elsewhere(self._ask_for),
            observer=observer,
        )
        self._watcher = metrics.watch(self.service.readings, info_of(config, {**about.properties, "device": "none"}))
        gc_tuning.freeze()

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

    async def _block(
        self, arrays: dict[str, Array], rows: int, timeout_s: float, requests: int, seed: int | None
    ) -> BlockReply:
        reply: BlockReply = await self._device.block.remote(self._contract, arrays, rows, timeout_s, requests, seed)
        return reply

    async def _ask_for(self, request: InferRequest) -> tuple[str, BlockReply]:
        found: tuple[str, BlockReply] = await self._device.answer_for.remote(request, self._described)
        return found

    async def _about(self, device: DeploymentHandle[Any]) -> About:
        """Ask until a device of this config answers; it does only once it is warm, so ready means warm here too."""
        while (found := await device.about.remote(self._contract)) is None:
            await asyncio.sleep(_LOOK_EVERY_S)
        about: About = found
        return about


# Serve's default of 5 requests at a time would keep the device's batches empty.
Deployment = serve.deployment(name="Ingress", max_ongoing_requests=1024)(serve.ingress()(calls.servicer(Ingress)))
