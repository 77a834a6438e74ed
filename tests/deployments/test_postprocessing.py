"""The postprocess hook at a request: what it raises or returns is its request's alone, beside any others."""

import asyncio
import logging
import pickle
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from configs.schema import ModelConfig, Tunables
from deployments.batching.batching import Batcher
from deployments.batching.device_thread import DeviceThread
from deployments.batching.local import LocalDevice, open_device
from deployments.batching.remote import BlockReply, RemoteDevice
from deployments.canary.router import CanaryRouter
from deployments.core.error_logging import client_error
from deployments.core.errors import InferenceFailed, TimedOut
from deployments.core.request import InferRequest, infer
from deployments.health.supervisor import Supervisor
from deployments.metrics.model_metrics import ModelMetrics
from deployments.postprocessing import Postprocessor
from deployments.service import ModelService
from models.runtime.forward_times import best_rows
from models.signature import Array, Rows, Tensor, signature_of
from models.startup.open_model import OpenedModel, open_model
from tests.deployments.test_bad_user_code import in_a_thread
from tests.services.bad_answers import KINDS

CONFIG = ModelConfig.model_validate(
    {
        "name": "bad",
        "device": "cpu",
        "backend": "eager",
        "source": {"factory": "tests.services.bad_answers:Doubles"},
        "postprocess": "tests.services.bad_answers:make",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2], "low": 0, "high": 0}],
        "outputs": [
            {"name": "json", "datatype": "BYTES", "shape": [-1]},
            {"name": "square", "datatype": "FP32", "shape": [-1]},
        ],
        "max_batch_size": 16,
    }
)
LABEL = (Tensor("label", "BYTES", (-1,)),)
# On the event loop, and in a thread.
both = pytest.mark.parametrize("rows", [1, 9])


@pytest.fixture(scope="module")
def served() -> OpenedModel:
    return open_model(CONFIG, "cpu")


def remote(served: OpenedModel) -> RemoteDevice:
    """A device behind ingress replicas: what it sends is pickled."""

    async def send(arrays: dict[str, Array], rows: int, _s: float, _requests: int, _seed: int | None) -> BlockReply:
        found = served.runner.run([pickle.loads(pickle.dumps(arrays))])
        assert all(len(each) == rows for each in found.values())
        return "answer", pickle.loads(pickle.dumps(found))

    return RemoteDevice(asyncio.get_running_loop(), send)


def local(served: OpenedModel) -> LocalDevice:
    thread = DeviceThread()
    thread.start()
    supervisor = Supervisor(served)
    return open_device(thread, supervisor.runner, served.forward_ms, supervisor.memory_limit)


async def service_of(
    served: OpenedModel, hook: Callable[..., Any] | None = None, device_of: Callable[..., Any] = local
) -> ModelService:
    device = device_of(served)
    counts, signature = ModelMetrics(served.forward_ms), signature_of(CONFIG)
    batcher = Batcher(Tunables(), CONFIG.max_batch_size, device, counts.count_forward, best_rows(served.forward_ms))
    made = served.postprocess if hook is None else hook
    assert made is not None
    postprocess = Postprocessor(made, signature.outputs)
    return ModelService(CONFIG, batcher, counts, CanaryRouter(signature), lambda: {}, postprocess=postprocess)


def asked(kind: str, numbers: list[int], **given: Any) -> InferRequest:
    """A request whose first row is of a kind, and whose others are good."""
    x = np.array([[n, 0] for n in numbers], np.float32)
    x[0, 1] = KINDS.index(kind)
    return InferRequest({"x": x}, len(numbers), **given)


async def answered(service: ModelService, request: InferRequest, request_id: str) -> Any:
    try:
        outputs = (await infer(service, request)).outputs
    except Exception as error:
        return client_error("bad", error, request_id).message
    return list(zip(outputs["json"].tolist(), outputs["square"].tolist(), strict=True))


def good(numbers: list[int]) -> Any:
    return [(f'{{"n": {2 * n}}}'.encode(), float((2 * n) ** 2)) for n in numbers]


@pytest.mark.parametrize("device_of", [local, remote])
def test_of_a_thousand_requests_each_bad_answer_fails_alone_with_one_log_entry(
    served: OpenedModel, device_of: Callable[..., Any], heard: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(1)
    sent = [
        (
            rng.choice(KINDS) if rng.random() < 0.3 else "ok",
            [rng.randrange(1000) for _ in range(rng.choice((1, 2, 12)))],
        )
        for _ in range(1000)
    ]
    assert {kind for kind, _ in sent} == set(KINDS)

    async def all_answered() -> list[Any]:
        service = await service_of(served, device_of=device_of)
        free = asyncio.Semaphore(64)

        async def one(index: int) -> Any:
            async with free:
                return await answered(service, asked(*sent[index]), f"id-{index}-")

        return await asyncio.wait_for(asyncio.gather(*map(one, range(len(sent)))), 120)

    with heard.at_level(logging.WARNING, "pitstop"):
        found = in_a_thread(all_answered())
    entries = [each.getMessage() for each in heard.records]
    for index, ((kind, numbers), answer) in enumerate(zip(sent, found, strict=True)):
        failed = f"the model failed on this input: the server log has it under request id id-{index}-"
        assert answer == (good(numbers) if kind == "ok" else failed), (index, kind)
        assert sum(f"id-{index}-" in entry for entry in entries) == (kind != "ok"), (index, kind)
    assert len(entries) == sum(kind != "ok" for kind, _ in sent)


def test_every_request_of_one_turn_gets_its_own_rows_beside_each_kind(served: OpenedModel) -> None:
    many = list(range(20, 32))

    async def beside(kind: str) -> list[Any]:
        service = await service_of(served)
        turn = [("ok", [10]), (kind, [1]), ("ok", many), ("ok", [12, 13]), (kind, many)]
        return await asyncio.wait_for(asyncio.gather(*(answered(service, asked(*each), "x") for each in turn)), 60)

    failed: Any = "the model failed on this input: the server log has it under request id x"
    for kind in KINDS[1:]:
        assert in_a_thread(beside(kind)) == [good([10]), failed, good(many), good([12, 13]), failed], kind


@both
def test_its_parameters_are_those_of_its_request(served: OpenedModel, rows: int) -> None:
    def hook(given: Rows, parameters: dict[str, Any]) -> Any:
        unit = parameters.pop("unit", "m")
        return {"json": [f"{n:g} {unit}" for n in given["number"][:, 0]], "square": given["number"][:, 0]}

    async def main() -> list[list[bytes]]:
        service = await service_of(served, hook)
        shared = {"unit": "km"}
        requests = [asked("ok", [3] * rows, parameters=each) for each in (shared, None, shared)]
        results = await asyncio.gather(*(infer(service, each) for each in requests))
        return [each.outputs["json"].tolist() for each in results]

    assert in_a_thread(main()) == [[b"6 km"] * rows, [b"6 m"] * rows, [b"6 km"] * rows]


def test_a_request_without_rows_is_answered_without_the_hook(served: OpenedModel) -> None:
    async def main() -> dict[str, Array]:
        service = await service_of(served, lambda _: None)
        return (await infer(service, InferRequest({"x": np.zeros((0, 2), np.float32)}, 0))).outputs

    assert {name: array.shape for name, array in in_a_thread(main()).items()} == {"json": (0,), "square": (0,)}


def test_a_hook_that_hangs_is_timed_out_and_its_rows_count_while_it_has_them(served: OpenedModel) -> None:
    over, began = threading.Event(), threading.Event()

    def hangs(_: Rows) -> Any:
        began.set()
        over.wait(20)

    async def main() -> None:
        service = await service_of(served, hangs)
        waits = asyncio.ensure_future(infer(service, asked("ok", [1] * 9, timeout_s=5.0)))
        while not began.is_set():
            await asyncio.sleep(0.001)
        assert service._batcher.waiting_rows == 9
        try:
            with pytest.raises(TimedOut):
                await infer(service, asked("ok", [1] * 9, timeout_s=0.2))
        finally:
            over.set()
        with pytest.raises(InferenceFailed):
            await waits
        assert service._batcher.waiting_rows == 0

    in_a_thread(main())


@both
def test_a_hook_may_fill_the_same_arrays_at_every_call(rows: int) -> None:
    kept = np.zeros(rows, np.float32)

    def hook(_: Rows) -> Any:
        kept[:] += 1
        return {"n": kept}

    post = Postprocessor(hook, (Tensor("n", "FP32", (-1,)),))
    first = post({"y": np.zeros(rows)}, InferRequest({}, rows))
    post({"y": np.zeros(rows)}, InferRequest({}, rows))
    assert isinstance(first, dict)
    assert (first["n"] == 1).all()


def test_what_the_hook_gets_cannot_be_written_to() -> None:
    def hook(given: Rows) -> Any:
        given["y"][:] = 1

    found = Postprocessor(hook, LABEL)({"y": np.zeros(1)}, InferRequest({}, 1))
    assert isinstance(found, InferenceFailed)
    assert "read-only" in str(found.cause)


class Lies(np.ndarray[Any, Any]):
    """Says that it is what it is not."""

    dtype = np.dtype(np.float32)
    shape = (2,)  # type: ignore[override]


class Odd(str):
    __slots__ = ()

    def encode(self, *_: Any) -> Any:
        return 7


def test_what_is_answered_is_what_was_checked() -> None:
    number = Postprocessor(lambda _: {"n": np.arange(4).view(Lies)}, (Tensor("n", "FP32", (-1,)),))
    found = number({"y": np.zeros(2)}, InferRequest({}, 2))
    assert isinstance(found, InferenceFailed)
    assert "'n' as int64 [4]" in str(found.cause)
    label = Postprocessor(lambda _: {"label": [Odd("a")]}, LABEL)({"y": np.zeros(1)}, InferRequest({}, 1))
    assert isinstance(label, dict)
    assert label["label"].tolist() == [b"a"]


@both
def test_a_hook_may_run_a_loop_of_its_own(served: OpenedModel, rows: int) -> None:
    async def looked_up(numbers: Array) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"json": [f"{n:g}" for n in numbers], "square": numbers}

    async def main() -> tuple[Any, Any]:
        service = await service_of(served, lambda given: asyncio.run(looked_up(given["number"][:, 0])))
        found = (await infer(service, asked("ok", [3] * rows))).outputs["json"].tolist()
        return found, asyncio.get_running_loop()

    found, loop = in_a_thread(main())
    assert (found, loop is not None) == ([b"6"] * rows, True)


def test_a_hook_of_few_rows_leaves_the_event_loop_once_it_takes_long_and_comes_back(served: OpenedModel) -> None:
    threads: list[int] = []
    slow = [True]

    def hook(given: Rows) -> Any:
        threads.append(threading.get_ident())
        if slow[0]:
            threading.Event().wait(0.05)
        return {"json": ["x"] * len(given["number"]), "square": given["number"][:, 0]}

    async def main() -> tuple[list[bool], list[bool]]:
        service = await service_of(served, hook)
        found = []
        for is_slow, calls in ((True, 3), (False, 400)):
            slow[0] = is_slow
            threads.clear()
            for _ in range(calls):
                await infer(service, asked("ok", [1]))
            found.append([each == threading.get_ident() for each in threads])
        return found[0], found[1]

    slowly, quickly = in_a_thread(main())
    assert slowly == [False] * 3
    assert quickly[-1]


def test_a_hook_that_hangs_on_one_row_holds_up_nobody_else(served: OpenedModel) -> None:
    over = threading.Event()

    def hook(given: Rows) -> Any:
        over.wait(0.01)
        if given["number"][0, 0] == 8:
            over.wait(20)
        return {"json": ["x"] * len(given["number"]), "square": given["number"][:, 0]}

    async def main() -> None:
        service = await service_of(served, hook)
        hanging = [asyncio.ensure_future(infer(service, asked("ok", [4]))) for _ in range(8)]
        try:
            for n in (1, 2, 3):
                assert (await infer(service, asked("ok", [n]))).outputs["square"].tolist() == [2 * n]
            assert not any(each.done() for each in hanging)
        finally:
            over.set()
        await asyncio.gather(*hanging)

    in_a_thread(main())
