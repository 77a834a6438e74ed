"""The models on Ray Serve, written as its documentation writes them: a Starlette request, @serve.batch, a dict back."""

from typing import Any

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks import networks
from benchmarks.device import chosen

from . import settings

_RESOURCES = {"num_cpus": 1, **({"num_gpus": 1 / settings.WORKERS} if chosen().is_gpu else {})}


@serve.deployment(num_replicas=settings.WORKERS, max_ongoing_requests=256, ray_actor_options=_RESOURCES)
class Served:
    """One replica, on a GPU two that share it; the batch wait and size are those that the runner chose."""

    def __init__(self) -> None:
        self.model = networks.load(settings.WORKLOAD, settings.MAX_ROWS)

    @serve.batch(max_batch_size=settings.MAX_ROWS, batch_wait_timeout_s=settings.WAIT_MS / 1000)
    async def infer(self, inputs: list[Any]) -> list[Any]:
        return list(self.model(inputs))

    async def __call__(self, request: Request) -> Any:
        if settings.IMAGES:
            return Response((await self.infer(await request.body())).tobytes())
        return {"y": (await self.infer(settings.value_of(await request.json()))).tolist()}


app = Served.bind()  # type: ignore[attr-defined]
