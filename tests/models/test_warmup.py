"""What the start takes for a forward's time, on a clock that the forwards themselves advance."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from models.runtime.layout import Layout
from models.signature import Shape, Tensor
from models.startup import warmup
from models.startup.declared_dtypes import fails

SHAPE: Shape = (4, ())


class Runner:
    """Takes as many milliseconds for each run of a shape as it is told; the last goes on."""

    def __init__(self, took_ms: Sequence[float], overlaps: bool, clock: list[float]) -> None:
        self.layout = SimpleNamespace(shapes=[SHAPE])
        self.outputs = [SimpleNamespace(name="y", shape=(-1, 1))]
        self.overlaps = overlaps
        self.warmed: set[Shape] = set()
        self.runs = 0
        self._took_ms, self._clock = took_ms, clock

    def run(self, parts: Sequence[Any]) -> dict[str, np.ndarray[Any, Any]]:  # noqa: ARG002
        self._clock[0] += self._took_ms[min(self.runs, len(self._took_ms) - 1)] / 1000
        self.runs += 1
        return {"y": np.zeros((SHAPE[0], 1), np.float32)}


def warmed(monkeypatch: pytest.MonkeyPatch, took_ms: Sequence[float], overlaps: bool) -> tuple[float, Runner]:
    clock = [0.0]
    monkeypatch.setattr(warmup, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    runner = Runner(took_ms, overlaps, clock)
    samples: Any = SimpleNamespace(shaped=lambda *_, **__: {})
    either: Any = runner
    return warmup.warm(either, samples)[SHAPE], runner


def test_a_gpus_search_and_compiling_are_not_taken_for_its_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """As seen on an H100: 64 rows of ResNet-50 took 323 ms in the second run, and 6 in every later one."""
    found, runner = warmed(monkeypatch, [2000, 323, 300, 6], overlaps=True)
    assert found == pytest.approx(6)
    assert runner.warmed == {SHAPE}


def test_a_slow_forward_runs_once_and_again_where_it_is_compared_with_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    found, runner = warmed(monkeypatch, [900, 800], overlaps=False)
    assert found == pytest.approx(900)
    assert runner.runs == 1
    other: Shape = (1, ())
    times = warmup.compared_ms({SHAPE: 900.0, other: 30.0}, {SHAPE: 800.0, other: 20.0})
    assert times == {SHAPE: 800.0, other: 30.0}, "what ran several times in the warm-up keeps its time"


def test_a_forward_of_half_a_second_runs_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    found, runner = warmed(monkeypatch, [550, 500], overlaps=False)
    assert found == pytest.approx(500)
    assert runner.runs == 2


def test_a_fast_forward_is_timed_ten_times(monkeypatch: pytest.MonkeyPatch) -> None:
    _, runner = warmed(monkeypatch, [1], overlaps=False)
    assert runner.runs == 10


def test_a_shapes_runs_are_spread_over_rounds_of_all_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, order = [0.0], list[int]()
    monkeypatch.setattr(warmup, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    runner: Any = Runner([1], overlaps=False, clock=clock)
    runner.layout.shapes = [(4, ()), (2, ())]

    def run(parts: Sequence[Any]) -> dict[str, np.ndarray[Any, Any]]:
        clock[0] += 0.001
        order.append(parts[0])
        return {"y": np.zeros((parts[0], 1), np.float32)}

    runner.run = run
    samples: Any = SimpleNamespace(shaped=lambda shape, **_: shape[0])
    assert warmup.warm(runner, samples) == {(4, ()): pytest.approx(1), (2, ()): pytest.approx(1)}
    assert order == [4] * 4 + [2] * 4 + [4] * 3 + [2] * 3 + [4] * 3 + [2] * 3


@pytest.mark.parametrize(
    "said, advice",
    [
        ("InvalidCxxCompiler: No working C++ compiler found in config.cpp.cxx", "install g++"),
        ("Guard failed: x.size()[0] == 1", "dynamic_shapes"),
        ("mat1 and mat2 shapes cannot be multiplied", "compare inputs in the config"),
    ],
)
def test_a_failed_forward_is_told_by_its_cause(said: str, advice: str) -> None:
    layout = Layout(torch.device("cpu"), torch.float32, False, (1,), ())
    assert advice in str(fails(RuntimeError(said), {"x": np.ones((1, 2))}, (Tensor("x", "FP32", (-1, 2)),), layout))


INPUTS, CAST = "compare inputs in the config", "cast to the weights' dtype"


@pytest.mark.parametrize(
    "precision, said, advice",
    [
        ("fp32", "mat1 and mat2 must have the same dtype", [INPUTS]),
        ("bf16", "Input type (float) and bias type (c10::BFloat16) should be the same", [CAST]),
        ("fp16", "\"nms_kernel\" not implemented for 'Half'", [CAST]),
        ("fp64", "expected m1 and m2 to have the same dtype, but got: float != double", [INPUTS, CAST]),
        ("int8_dynamic", "Int8Tensor lacks aten.add", []),
        ("bf16", "index out of range in self", [INPUTS]),
    ],
)
def test_a_forward_that_fails_in_another_precision_is_told_whether_that_is_the_cause(
    precision: str, said: str, advice: list[str]
) -> None:
    layout = Layout(torch.device("cpu"), torch.float32, False, (1,), (), precision=precision)
    told = fails(RuntimeError(said), {"x": np.ones((1, 2))}, (Tensor("x", "FP32", (-1, 2)),), layout)
    assert (f"fails in {precision} on" in told.what) == (precision != "fp32")
    assert ("use precision: fp32" in told.help) == (precision not in ("fp32", "fp64"))
    assert [each for each in (INPUTS, CAST) if each in told.help] == advice
    sure = INPUTS not in advice
    assert (f"the network does not run in {precision} as it is written" in told.help) == sure
