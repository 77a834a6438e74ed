"""A model's service with a device that keeps what it is given. Ray is not started."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from configs.schema import ModelConfig, Tunables
from deployments.batching.batching import Batcher
from deployments.batching.queue import Item
from deployments.canary.router import CanaryRouter
from deployments.core.errors import BadRequest, NotFound, QueueFull, TimedOut
from deployments.core.request import InferRequest, InferResult, infer
from deployments.metrics.model_metrics import ModelMetrics
from deployments.preprocessing import Preprocessor
from deployments.service import ModelService
from models.signature import Array, Tensor, signature_of

ROWS = 9  # More than are preprocessed on the event loop.
TEXT: dict[str, Any] = {
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
    "preprocess": "tests.models.networks:Linear",
}
OPEN: dict[str, Any] = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, -1]}], "lengths": [4, 16]}


class Device:
    """Answers nothing; `given` has what reached it."""

    def __init__(self) -> None:
        self.given: list[Item] = []
        self.limit = 1
        self.batcher: Batcher

    waiting_rows = 0
    idle = True

    def set_limit(self, rows: int) -> None:
        self.limit = rows

    def put(self, items: Sequence[Item]) -> None:
        self.given += items

    def drop_expired(self) -> None:
        pass

    def listen(self, done: Any) -> None:
        pass


def served(
    test: Callable[[ModelService, Device], Awaitable[None]],
    keys: Mapping[str, Any],
    preprocess: Callable[[Mapping[str, Array]], dict[str, Array]] | None = None,
) -> None:
    base = {"name": "m", "source": {"factory": "a.b:C"}, "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}]}

    async def main() -> None:
        device = Device()
        checked = None if preprocess is None else Preprocessor(preprocess, (Tensor("ids", "INT64", (-1, 2)),), None)
        config, counts = ModelConfig.model_validate({**base, **keys}), ModelMetrics({})
        device.batcher = Batcher(Tunables(), config.max_batch_size, device, counts.count_forward)
        canary = CanaryRouter(signature_of(config))
        service = ModelService(config, device.batcher, counts, canary, lambda: {}, preprocess=checked)
        await asyncio.wait_for(test(service, device), 20)

    asyncio.run(main())


def texts(rows: int = ROWS, timeout_s: float | None = None) -> InferRequest:
    return InferRequest({"text": np.full(rows, b"a", object)}, rows, timeout_s=timeout_s)


def test_preprocessing_is_within_the_time_that_a_request_has() -> None:
    over = threading.Event()

    def hangs(_: Mapping[str, Array]) -> dict[str, Array]:
        over.wait(20)
        return {}

    async def test(service: ModelService, device: Device) -> None:
        try:
            with pytest.raises(TimedOut):
                await infer(service, texts(timeout_s=0.05))
        finally:
            over.set()
        assert device.given == []
        assert device.batcher.waiting_rows == 0

    served(test, TEXT, hangs)


def test_rows_that_are_being_preprocessed_count_among_those_that_wait() -> None:
    over = threading.Event()

    def waits(rows: Mapping[str, Array]) -> dict[str, Array]:
        over.wait(20)
        return {"ids": np.zeros((len(rows["text"]), 2), np.int64)}

    async def test(service: ModelService, device: Device) -> None:
        service.reconfigure({"max_queue_size": 2 * ROWS})
        told: list[object] = []
        try:
            for _ in range(2):
                service.begin(texts(), told.append)
            assert device.batcher.waiting_rows == 2 * ROWS
            with pytest.raises(QueueFull):
                service.begin(texts(), told.append)
        finally:
            over.set()
        while len(device.given) < 2:
            await asyncio.sleep(0)
        assert device.batcher.rows_in_hooks == 0
        assert told == []

    served(test, TEXT, waits)


def test_what_nobody_waits_for_any_more_is_not_preprocessed() -> None:
    seen: list[int] = []

    def notes(rows: Mapping[str, Array]) -> dict[str, Array]:
        seen.append(len(rows["text"]))
        return {"ids": np.zeros((len(rows["text"]), 2), np.int64)}

    async def test(service: ModelService, device: Device) -> None:
        with pytest.raises(TimedOut):
            await infer(service, texts(ROWS + 1), is_disconnected=lambda: True)
        service.begin(texts(), lambda _: None)
        while not device.given:
            await asyncio.sleep(0)
        assert seen == [ROWS]

    served(test, TEXT, notes)


def test_a_row_longer_than_the_longest_that_was_warmed_is_refused_with_both_numbers() -> None:
    async def test(service: ModelService, device: Device) -> None:
        for length in (16, 17):
            request = InferRequest({"x": np.zeros((1, length), np.float32)}, 1, None, ())
            if length == 16:
                service.begin(request, lambda _: None)
            else:
                with pytest.raises(BadRequest, match="'x' has 17 along its open size, this model takes at most 16"):
                    service.begin(request, lambda _: None)
        await asyncio.sleep(0)
        assert len(device.given) == 1

    served(test, OPEN)


def test_inputs_that_differ_in_their_open_size_are_refused_with_both() -> None:
    tensors = [{"name": name, "datatype": "FP32", "shape": [-1, -1]} for name in ("ids", "mask")]

    async def test(service: ModelService, device: Device) -> None:
        for length in (4, 3):
            inputs = {"ids": np.zeros((1, 4), np.float32), "mask": np.ones((1, length), np.float32)}
            request = InferRequest(inputs, 1, None, ())
            if length == 4:
                service.begin(request, lambda _: None)
            else:
                with pytest.raises(BadRequest, match=r"same in every input; got {'ids': 4, 'mask': 3}"):
                    service.begin(request, lambda _: None)
        await asyncio.sleep(0)
        assert len(device.given) == 1

    served(test, {**OPEN, "inputs": tensors})


def test_neither_a_request_nor_its_result_can_be_rewritten_on_its_way() -> None:
    for frozen in (texts(), InferResult("1", {})):
        with pytest.raises(AttributeError):
            frozen.version = "2"  # type: ignore[misc]


def test_a_version_that_is_not_here_is_refused() -> None:
    async def test(service: ModelService, device: Device) -> None:
        request = InferRequest({"x": np.zeros((1, 4), np.float32)}, 1, version="2")
        with pytest.raises(NotFound, match="has version '1', not '2'"):
            service.begin(request, lambda _: None)
        assert device.given == []

    served(test, OPEN)


def test_the_limits_and_targets_that_hold_now_are_told_to_whoever_compares_with_them() -> None:
    async def test(service: ModelService, _: Device) -> None:
        limits = {"max_queue_size": 7, "max_batch_size": 4, "request_timeout_s": 9}
        service.reconfigure(limits)
        assert "target_queue_ms" not in service.autoscaling_stats()
        service.reconfigure({**limits, "targets": {"queue_ms": 50}})
        found = service.history()
        assert found["targets"] == {"p99_ms": None, "queue_ms": 50}
        assert service.autoscaling_stats()["target_queue_ms"] == service.readings().queue_target_ms == 50
        assert found["limits"] == {"max_batch_size": 4, "max_queue_size": 7, "request_timeout_s": 9}
        assert found["forwards_here"]
        with pytest.raises(NotFound, match="its own application has its history"):
            service.history("2")
        assert service.metadata()["properties"]["predict_takes"] == "json"
        assert service.metadata()["properties"]["predict_reads"] == "Instances, as JSON."

    served(test, OPEN)
