"""Out of memory and NaN as a real GPU has them. Skipped, and said to be, where there is none."""

import gc
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from configs.schema import ModelConfig
from deployments.batching.batch_result import finish_batch
from deployments.batching.memory_limit import MemoryLimit
from deployments.batching.queue import Item, Part
from models.startup.open_model import OpenedModel, open_model
from tests.models.oom_networks import MIB_A_ROW

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    yield
    torch.cuda.empty_cache()


def opened(factory: str) -> OpenedModel:
    tensor = {"datatype": "FP32", "shape": [-1, 1]}
    keys: dict[str, Any] = {
        "name": "m",
        "backend": "eager",
        "cuda_graphs": False,  # A captured shape has its memory already.
        "source": {"factory": factory},
        "inputs": [{"name": "x", **tensor}],
        "outputs": [{"name": "y", **tensor}],
        "max_batch_size": 8,
    }
    return open_model(ModelConfig.model_validate(keys), "cuda")


def all_but(left: int) -> list[torch.Tensor]:
    """Take the GPU's memory until no more than `left` bytes are free: what other tests held is let go of on the way."""
    taken = []
    gc.collect()
    torch.cuda.empty_cache()
    while (free := torch.cuda.mem_get_info()[0]) > left + MIB:
        taken.append(torch.empty(free - left, dtype=torch.uint8, device="cuda"))
    return taken


def part(value: float) -> Part:
    arrays = {"x": np.array([[value]], np.float32)}
    return Part(Item(arrays, 1, time.perf_counter(), time.perf_counter() + 60, lambda _: None), 0, 1)


def test_a_batch_that_does_not_fit_into_what_is_left_of_the_gpu_is_answered_in_halves() -> None:
    runner = opened("tests.models.oom_networks:Hungry").runner
    taken = all_but(int(3.5 * MIB_A_ROW * MIB))
    memory_limit, parts = MemoryLimit(runner.layout.sizes), [part(n) for n in range(8)]
    arrays = [each.arrays for each in parts]
    ran = finish_batch(runner, parts, lambda: runner.launch(runner.stage(arrays)), 0.0, memory_limit)
    del taken
    assert [answer["y"].item() for _, answer in ran.answers if not isinstance(answer, Exception)] == [
        2.0 * n for n in range(8)
    ]
    assert memory_limit.rows == 2


def test_nan_is_found_on_the_gpu_and_in_its_own_row_only() -> None:
    runner = opened("tests.models.networks:Integers").runner
    runner.check_finite = True
    rows = np.array([[1], [np.nan], [3]], np.float32)
    batch = runner.launch(runner.stage([{"x": rows}]))
    found = runner.finish(batch)
    assert batch.nonfinite is not None
    assert batch.nonfinite.tolist() == [False, True, False]
    assert found["y"][[0, 2]].tolist() == [[2], [6]]
    batch = runner.launch(runner.stage([{"x": rows[:1]}]))
    runner.finish(batch)
    assert batch.nonfinite is None
