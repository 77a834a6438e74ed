"""Serves a case as a replica does, but for Ray, asks it as many clients at once do, and compares every row with eager.

The parts are put together by deployments.model.Model itself; what is left out belongs to Ray and to the process: the
metrics' pushing, the watchdog that ends it, its log and its malloc.
"""

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from configs.backends import EAGER
from configs.loader import ConfigError, parse_model
from configs.schema import ModelConfig
from deployments.batching.batch_result import BatchResult
from deployments.batching.device_thread import DeviceThread
from deployments.core.request import InferRequest, infer
from deployments.health.supervisor import Supervisor
from deployments.metrics.model_metrics import ModelMetrics
from deployments.model import Model
from deployments.resources import Placement
from models.errors import ModelError
from models.parity import deviation, tolerance_for
from models.signature import Array
from models.startup.open_model import OpenedModel, open_model

from .cases import Case
from .eager import Eager
from .requests import drawn

REQUESTS, MOST_ROWS = 30, 3
# Only to warn of a number.
_ASKS_THE_REPLICA = "ray.serve.batching._BatchQueue._warn_if_max_batch_size_exceeds_max_ongoing_requests"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case: how it is served and its largest deviation, or why it was refused.

    `faster`: how long the start's eager forward took over the one that serves; None where only one could run.
    """

    how: str = ""
    deviation: float = 0.0
    faster: float | None = None
    of_transformers: bool = False
    forwards: int = 0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with its answer: an array of each input and output, [rows, ...]."""

    rows: dict[str, Array]
    count: int
    seed: int | None
    answer: dict[str, Array]


def outcome_of(case: Case) -> Outcome:
    """Serve and ask it.

    Raises:
        AssertionError: a row's answer is not eager's.
    """
    before = torch.get_num_threads()
    try:
        config = parse_model(case.args)
        torch.set_num_threads(config.threads)  # As deployments.resources.confine does.
        served, asked, forwards = asyncio.run(_ask(case, config))
        eager = Eager(case, served.config)
        faster = {each.backend: each.times for each in served.candidates}.get(EAGER)
        worst = compared(case.name, served.config, asked, eager)
        return Outcome(served.how, worst, faster, eager.of_transformers, forwards)
    except (ConfigError, ModelError) as error:
        return Outcome(refused=str(error))
    finally:
        torch.set_num_threads(before)


async def _ask(case: Case, config: ModelConfig) -> tuple[OpenedModel, list[Asked], int]:
    model, ran = Model.__new__(Model), list[BatchResult]()
    thread = DeviceThread()
    thread.start()
    device = None
    try:
        model._placement = Placement("cpu", None)
        model._served = await thread.call(lambda: open_model(config, "cpu"))
        model._config = config = model._served.config  # With what was found, where the YAML leaves it out.
        model._metrics = ModelMetrics(model._served.forward_ms)
        model._observer = None
        model._supervisor = Supervisor(model._served)
        model._supervisor.health = SimpleNamespace(ran=ran.append)  # type: ignore[assignment]
        device = model._open_device(thread)
        model._batcher = model._open_batcher(device)
        model.service = model._open_service(None)
        # Else the start chooses how many rows share a forward, by the time that it took.
        model.service.reconfigure({"max_batch_size": config.max_batch_size})
        with patch(_ASKS_THE_REPLICA):
            asked = await asyncio.gather(*(_client(model, request) for request in requests_of(case, config)))
    finally:
        (device or SimpleNamespace(stop=lambda: thread.submit(thread.stop))).stop()
    return model._served, asked, len(ran)


def requests_of(case: Case, config: ModelConfig, most: int = REQUESTS) -> list[InferRequest]:
    """Return so many requests of mixed sizes, the same each time."""
    args, generator, found = case.args, np.random.default_rng(0), []
    for number in range(most):
        # A forward that draws is eager's where its batch is: one row or two fill one up.
        count = 1 + number % (2 if config.random else MOST_ROWS)
        if number % 10 == 9 and not (config.random or config.whole):
            count = config.max_batch_size + 1  # More than one forward takes.
        rows = case.draw(generator, count) if case.draw else drawn(args, generator, count)
        found.append(InferRequest(rows, count, seed=number if config.random else None))
    return found


async def _client(model: Model, request: InferRequest) -> Asked:
    result = await infer(model.service, request)
    return Asked(request.inputs, request.rows, request.seed, result.outputs)


_MANY, _TIES = 1000, 1e-3


def compared(case: str, config: ModelConfig, asked: list[Asked], eager: Eager) -> float:
    """Return the largest deviation of an answer from eager's, row by row where rows do not belong together."""
    worst = 0.0
    tolerance = tolerance_for(config.precision, config.tolerance)
    floats = max(tolerance.relative, config.batch_tolerance or 0.0)
    allowed = {each.name: floats if each.datatype[:2] == "FP" else tolerance.disagree for each in config.outputs}
    for each in asked:
        together = config.whole or config.random
        for row in [slice(0, each.count)] if together else [slice(n, n + 1) for n in range(each.count)]:
            expected = eager({name: array[row] for name, array in each.rows.items()}, each.seed)
            answer = {name: array[row] for name, array in each.answer.items()}
            for name, by in _deviations(config, answer, expected, each.count == 1).items():
                sizes = {name: array.shape for name, array in each.rows.items()}
                what = f"{case}: {name} of {row} of {sizes}"
                assert by <= allowed[name], f"{what} deviates by {by:.1e}, {allowed[name]:.1e} is allowed"
                worst = max(worst, by)
    return worst


def _deviations(
    config: ModelConfig, answer: dict[str, Array], expected: dict[str, Any], alone: bool
) -> dict[str, float]:
    found, counted = {}, _counted(config)
    for output in config.outputs:
        name, shape = output.name, output.shape
        if name in counted and name not in expected:  # It is compared with the sizes of the others.
            continue
        actual, wanted = answer[name], expected[name]
        if output.datatype == "BYTES":
            found[name] = float([each.decode() for each in actual] != list(wanted))
            continue
        for axis, size in enumerate(shape):
            if size in counted:
                count = int(expected[size][0]) if size in expected else wanted.shape[axis]
                assert int(answer[size][0]) == count, f"{size} is {answer[size][0]}, eager says {count}"
                assert actual.shape[axis] == count or not alone, f"{name} is {actual.shape}, eager says {count}"
                kept, rest = np.split(actual, [count], axis)
                assert not rest.any(), f"{name} is not zero beyond {count}"
                actual, wanted = kept, np.take(wanted, range(count), axis)
        if config.may_preprocess:  # It pads the texts of a request to the longest; alone a row has its own length.
            actual = actual[tuple(slice(0, size) for size in wanted.shape)]
        by = deviation(torch.from_numpy(np.array(actual)), torch.from_numpy(np.array(wanted)))
        assert by is not None or not wanted.size, f"{name}: eager's answer has nothing to compare"
        # Among thousands of pixels' classes one may be a tie, which the rounding of a processor's kernels decides.
        found[name] = 0.0 if output.datatype[:2] != "FP" and wanted.size >= _MANY and (by or 0.0) < _TIES else by or 0.0
    return found


def _counted(config: ModelConfig) -> set[str]:
    """Return the names in the outputs' shapes that are no open dimension."""
    sizes = {size for each in config.outputs for size in each.shape[1:]}
    return {size for size in sizes if isinstance(size, str) and size.isidentifier()} - config.dims.keys()
