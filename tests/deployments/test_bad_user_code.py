"""Good requests beside those whose preprocess or forward misbehaves, through a real service without Ray.

tests/e2e/test_bad_user_code.py does the same over HTTP, in a replica.
"""

import asyncio
import logging
import random
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pytest

from configs.schema import ModelConfig, Tunables
from deployments.batching.batching import Batcher
from deployments.batching.device_thread import DeviceThread
from deployments.batching.local import open_device
from deployments.canary.router import CanaryRouter
from deployments.core.error_logging import client_error
from deployments.core.request import InferRequest, infer
from deployments.health.supervisor import Supervisor
from deployments.metrics.model_metrics import ModelMetrics
from deployments.preprocessing import Preprocessor
from deployments.service import ModelService
from models.runtime.forward_times import best_rows
from models.signature import signature_of
from models.startup.open_model import OpenedModel, open_model
from tests.services.bad import KINDS

REQUESTS, BAD_SHARE, AT_ONCE = 2000, 0.3, 64
CONFIG = ModelConfig.model_validate(
    {
        "name": "bad",
        "device": "cpu",
        "backend": "eager",
        "source": {"factory": "tests.services.bad:Bad"},
        "preprocess": "tests.services.bad:make",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
        "max_batch_size": 16,
    }
)
T = TypeVar("T")
Sent = tuple[str, list[int]]


def requests_of(rng: random.Random, count: int) -> list[Sent]:
    """Draw a kind and the numbers of each request; some have more rows than are preprocessed on the event loop."""
    return [
        (
            rng.choice(KINDS) if rng.random() < BAD_SHARE else "ok",
            [rng.randrange(1_000_000) for _ in range(rng.choice((1, 1, 1, 2, 3, 12)))],
        )
        for _ in range(count)
    ]


def in_a_thread(answers: Coroutine[Any, Any, T]) -> T:
    """Run a loop beside the main thread, as a replica's does; in the main one KeyboardInterrupt is Ctrl-C."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, answers).result()


async def service_of(served: OpenedModel, on_loop: bool) -> ModelService:
    """Put a service together as a replica does."""
    thread = DeviceThread()
    thread.start()
    supervisor = Supervisor(served)
    device = open_device(thread, supervisor.runner, served.forward_ms, supervisor.memory_limit, on_loop=on_loop)
    assert served.samples.preprocess is not None
    preprocess = Preprocessor(served.samples.preprocess, served.runner.model_inputs, None)
    counts, canary = ModelMetrics(served.forward_ms), CanaryRouter(signature_of(CONFIG))
    best = best_rows(served.forward_ms)
    batcher = Batcher(Tunables(), CONFIG.max_batch_size, device, counts.count_forward, best)
    return ModelService(CONFIG, batcher, counts, canary, lambda: {}, preprocess=preprocess)


async def answered(service: ModelService, sent: Sent, request_id: str) -> list[float] | str:
    kind, numbers = sent
    # One bad row among the good ones of its request: the whole request is the guilty one.
    kinds = [kind] + ["ok"] * (len(numbers) - 1)
    texts = np.array([f"{each}:{n}".encode() for each, n in zip(kinds, numbers, strict=True)], object)
    try:
        outputs = (await infer(service, InferRequest({"text": texts}, len(texts)))).outputs
    except Exception as error:
        return client_error("bad", error, request_id).message
    return [float(each) for each in outputs["y"].ravel()]


async def all_answered(served: OpenedModel, sent: list[Sent], on_loop: bool) -> list[list[float] | str]:
    service = await service_of(served, on_loop)
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> list[float] | str:
        async with free:
            return await answered(service, sent[number], f"id-{number}-")

    return await asyncio.wait_for(asyncio.gather(*(one(number) for number in range(len(sent)))), 120)


@pytest.fixture(scope="module")
def served() -> OpenedModel:
    return open_model(CONFIG, "cpu")


@pytest.mark.parametrize("on_loop", [True, False])
def test_of_two_thousand_requests_each_bad_one_fails_alone_with_one_log_entry(
    served: OpenedModel, on_loop: bool, heard: pytest.LogCaptureFixture
) -> None:
    sent = requests_of(random.Random(on_loop), REQUESTS)
    assert {kind for kind, _ in sent} == {"ok", *KINDS}
    with heard.at_level(logging.WARNING, "pitstop"):
        found = in_a_thread(all_answered(served, sent, on_loop))
    entries = [each.getMessage() for each in heard.records]
    for number, ((kind, numbers), answer) in enumerate(zip(sent, found, strict=True)):
        if kind == "ok":
            assert answer == [2.0 * n for n in numbers], (number, kind)
        else:
            assert answer == f"the model failed on this input: the server log has it under request id id-{number}-"
        assert sum(f"id-{number}-" in entry for entry in entries) == (kind != "ok"), (number, kind)
    assert len(entries) == sum(kind != "ok" for kind, _ in sent)
    assert all(each.exc_info for each in heard.records)


def test_every_request_of_one_turn_gets_its_own_answer_beside_each_kind(served: OpenedModel) -> None:
    async def beside(kind: str) -> list[list[float] | str]:
        service = await service_of(served, True)
        turn = [("ok", [10]), (kind, [1]), ("ok", [11]), ("ok", [12, 13]), (kind, [2])]
        return await asyncio.wait_for(asyncio.gather(*(answered(service, each, "x") for each in turn)), 60)

    failed: Any = "the model failed on this input: the server log has it under request id x"
    for kind in KINDS:
        assert in_a_thread(beside(kind)) == [[20.0], failed, [22.0], [24.0, 26.0], failed], kind
