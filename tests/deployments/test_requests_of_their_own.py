"""Requests that share no forward, through a model's service: with a seed, or with rows that belong together."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema import ModelConfig, Tunables
from deployments.batching.batch_result import BatchResult
from deployments.batching.batching import Batcher
from deployments.batching.device_thread import DeviceThread
from deployments.batching.local import open_device
from deployments.batching.remote import BlockReply, RemoteDevice
from deployments.canary import handle
from deployments.canary.router import CanaryRouter
from deployments.core.errors import BadRequest
from deployments.core.request import InferRequest, infer
from deployments.metrics.model_metrics import ModelMetrics
from deployments.preprocessing import Preprocessor
from deployments.service import ModelService
from models.signature import Array, signature_of
from models.startup.open_model import open_model
from tests.models.test_open_model import config

DROPOUT = "tests.models.meant_networks:StubbornDropout"
ROWS = {"x": np.ones((4, 4), np.float32)}


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def service_of(
    given: ModelConfig, batcher: Batcher, preprocess: Preprocessor | None = None, counts: ModelMetrics | None = None
) -> ModelService:
    canary = CanaryRouter(signature_of(given))
    return ModelService(given, batcher, counts or ModelMetrics({}), canary, lambda: {}, preprocess=preprocess)


async def batcher_of(given: ModelConfig, observe: Callable[[BatchResult], None] = lambda _: None) -> Batcher:
    served = open_model(given, "cpu")
    thread = DeviceThread()
    thread.start()
    device = open_device(thread, served.runner, served.forward_ms, on_loop=True)
    return Batcher(Tunables(), given.max_batch_size, device, observe, whole=given.whole)


async def answered(service: ModelService, seed: int | None) -> list[float]:
    found: list[float] = (await infer(service, InferRequest(ROWS, 4, seed=seed))).outputs["y"].ravel().tolist()
    return found


@pytest.mark.parametrize("hook", [False, True])
def test_a_seed_repeats_an_answer_through_the_service_an_ingress_replica_and_a_canary(hook: bool) -> None:
    given = config(DROPOUT, random=True)

    async def main() -> None:
        batcher = await batcher_of(given)
        preprocess = Preprocessor(dict, signature_of(given).inputs, None) if hook else None
        here = service_of(given, batcher, preprocess)

        async def send(arrays: dict[str, Array], rows: int, timeout_s: float, _: int, seed: int | None) -> BlockReply:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            batcher.add(arrays, rows, future.set_result, timeout_s, seed=seed)
            return "answer", await future

        remote = RemoteDevice(asyncio.get_running_loop(), send)
        ingress = service_of(given, Batcher(Tunables(), 8, remote, lambda _: None), preprocess)
        expected = await answered(here, 7)
        others = [answered(service, seed) for service in (here, ingress) for seed in (None, 7, 8, None, 7)]
        found = await asyncio.gather(*others)
        assert [found[n] for n in (1, 4, 6, 9)] == [expected] * 4
        kind, outputs = await handle.answer(here, InferRequest(ROWS, 4, timeout_s=10, seed=7))
        assert (kind, outputs["y"].ravel().tolist()) == ("answer", expected)

    asyncio.run(main())


def test_a_model_that_draws_nothing_ignores_a_seed() -> None:
    given = config(max_batch_size=2)

    async def main() -> None:
        service = service_of(given, await batcher_of(given))
        # Four rows are more than a forward takes: with a seed they could not be split.
        assert await answered(service, 7) == await answered(service, None)
        drawing = config(DROPOUT, random=True, max_batch_size=2)
        with pytest.raises(BadRequest, match="it has a seed: one forward takes it, and at most 2 rows"):
            await answered(service_of(drawing, await batcher_of(drawing)), 7)

    asyncio.run(main())


def test_rows_that_belong_together_are_neither_split_nor_reported_in_larger_batches() -> None:
    given = config("tests.models.meant_networks:Graph", batch="whole")

    async def main() -> None:
        counts = ModelMetrics({(rows, ()): 1.0 for rows in (1, 2, 4, 8)})
        service = service_of(given, await batcher_of(given, counts.count_forward), counts=counts)
        assert {f"forward_ms_{rows}" for rows in (1, 2, 4, 8)} <= service.autoscaling_stats().keys()
        await asyncio.gather(*(answered(service, None) for _ in range(5)))
        assert counts.rows_a_forward() == 4
        assert "forward_ms_8" not in service.autoscaling_stats()
        assert (service.metadata()["properties"]["max_batch_size"], service.config()["max_batch_size"]) == (8, 8)
        with pytest.raises(BadRequest, match="the request has 9 rows, and its rows belong together"):
            await infer(service, InferRequest({"x": np.ones((9, 4), np.float32)}, 9))

    asyncio.run(main())
