"""`backend: auto` serves the fastest candidate that passes the checks, and says what came of the others."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from configs.backends import BACKENDS, TORCHSCRIPT, Backend
from models.compile.build import Compiled, Uncompiled
from models.errors import ModelError
from models.signature import Shape
from models.startup import candidates, contender, warmup
from models.startup.candidates import Candidate, Tried
from models.startup.open_model import OpenedModel, open_model
from models.startup.selection import Selection
from tests.models.test_open_model import config

NETWORKS = "tests.models.networks"
# Seconds of a forward's own, so that no noise of the machine decides.
SLOW_S = 0.02


class Slow(nn.Module):
    """A network that waits in every forward, unless it is called by a backend that skips that."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(SLOW_S)
        found: torch.Tensor = self.layer(x)
        return found


def build(given: Uncompiled) -> Compiled:
    """The quick backend: the layer alone."""
    network: Any = given.module
    return Compiled(network.layer, "quick")


def slow(given: Uncompiled) -> Compiled:
    """Three times as slow as the network as it is."""
    network: Any = given.module

    def forward(x: torch.Tensor) -> Any:
        time.sleep(2 * SLOW_S)
        return network(x)

    return Compiled(forward, "slow")


def same(given: Uncompiled) -> Compiled:
    return Compiled(given.module, "same")


def wrong(given: Uncompiled) -> Compiled:
    """Quick, and wrong."""
    network: Any = given.module
    return Compiled(lambda x: network.layer(x) + 1, "wrong")


def own(module: Any, inputs: tuple[torch.Tensor, ...]) -> Any:
    assert [each.shape for each in inputs] == [torch.Size([8, 4])]
    return module.layer


def nothing(_: Any, __: Any) -> int:
    return 3


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    # It would leave the wait out, as nothing uses what it returns.
    monkeypatch.setitem(BACKENDS, TORCHSCRIPT, replace(BACKENDS[TORCHSCRIPT], devices=("cuda",)))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "quick", Backend("quick", "quick", __name__))


def backend(monkeypatch: pytest.MonkeyPatch, name: str, made: Callable[[Uncompiled], Compiled]) -> None:
    monkeypatch.setitem(BACKENDS, name, Backend(name, name, f"{__name__}_{name}"))
    monkeypatch.setitem(sys.modules, f"{__name__}_{name}", type(name, (), {"build": staticmethod(made)}))


def opened(**keys: Any) -> OpenedModel:
    return open_model(config(f"{__name__}:Slow", **keys), "cpu")


def outcomes(served: OpenedModel) -> dict[str, str]:
    return {each.backend: each.outcome for each in served.candidates}


@pytest.mark.usefixtures("quick")
def test_auto_serves_the_fastest_and_its_table_has_every_candidate() -> None:
    served = opened()
    assert served.how == "quick"
    found = outcomes(served)
    assert found.pop("quick") == "chosen"
    assert found.pop("aoti") == "not_built"
    assert set(found.values()) <= {"not_faster", "refused"}
    assert served.summary()["candidates"][0]["backend"] == "quick"


def agrees(served: OpenedModel) -> None:
    """Assert that rows/s, times and forward_ms of the candidates' table say the same, and that it is sorted."""
    first, *others = ran = [each for each in served.candidates if each.forward_ms]
    assert (first.outcome, first.times) == ("chosen", 1.0)
    for each in ran:
        both = each.forward_ms.keys() & first.forward_ms.keys()
        found = geometric_mean(each.forward_ms[shape] / first.forward_ms[shape] for shape in both)
        assert each.times == pytest.approx(found, rel=0.02, abs=0.001)
        assert each.rows_s == pytest.approx(max(1000 * int(shape) / ms for shape, ms in each.forward_ms.items()), 0.02)
    assert others == sorted(others, key=lambda each: each.times or 0)
    silent = [(each.times, each.rows_s) for each in served.candidates[len(ran) :]]
    assert silent == [(None, None)] * (len(served.candidates) - len(ran))


@pytest.mark.usefixtures("quick")
def test_times_rows_a_second_and_forwards_of_the_table_say_the_same() -> None:
    served = opened()
    agrees(served)
    eager = next(each for each in served.candidates if each.backend == "eager")
    assert eager.times is not None
    assert eager.times > 5
    assert eager.reason == f"takes {eager.times:.2f} times as long as quick fp32, in turns"
    assert list(eager.forward_ms) == list(served.candidates[0].forward_ms)


def test_a_candidate_that_is_given_up_says_on_which_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    backend(monkeypatch, "slow", slow)
    served = opened()
    agrees(served)
    row = next(each for each in served.candidates if each.backend == "slow")
    least = str(served.runner.layout.sizes[0])
    assert list(row.forward_ms) == [least]
    assert row.times == pytest.approx(3, rel=0.3)
    slower = f"takes {row.times:.2f} times as long as eager fp32"
    assert row.reason == f"{slower} on a batch of {least}, so nothing else was run"


def test_one_that_was_slow_on_the_smallest_batch_for_a_moment_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    backend(monkeypatch, "same", same)

    def warm(runner: Any, samples: Any, shapes: Any = None) -> Any:
        times = warmup.warm(runner, samples, shapes)
        return {shape: 3 * ms for shape, ms in times.items()} if shapes == [(1, ())] else times

    monkeypatch.setattr(contender, "warm", warm)
    served = opened()
    row = next(each for each in served.candidates if each.backend == "same")
    assert "1" in row.forward_ms
    assert len(row.forward_ms) > 1


def table(times: dict[str, dict[Shape, float]]) -> dict[str, Tried]:
    """The table of candidates whose forwards take so many times the first one's of 10 ms, which is chosen."""
    nothing: Any = None
    selection = Selection(nothing, nothing, nothing, nothing)
    for backend, over_first in times.items():
        selection.tried[Candidate(backend, "fp32")] = Tried(backend, "fp32", "not_faster")
        selection._over_first[Candidate(backend, "fp32")] = over_first
    selection._first_ms = dict.fromkeys(next(iter(times.values())), 10.0)
    return {each.backend: each for each in selection.choose(Candidate(next(iter(times)), "fp32"))}


def test_one_that_is_as_fast_as_the_chosen_is_said_to_be_that() -> None:
    one, four = (1, ()), (4, ())
    found = table({"eager": {one: 1, four: 1}, "slow": {one: 1.2, four: 1.5}, "near": {one: 1.0, four: 0.98}})
    assert list(found) == ["eager", "near", "slow"]
    assert found["near"].times == 0.99
    assert found["near"].forward_ms == {"1": 10.0, "4": 9.8}
    assert found["near"].rows_s == pytest.approx(4000 / 9.8)
    near = "as fast as eager fp32 within 5 %, which a start's timings cannot tell apart (0.99 times as long, in turns)"
    assert found["near"].reason == near
    assert found["slow"].reason == "takes 1.34 times as long as eager fp32, in turns"


def test_a_faster_candidate_that_answers_otherwise_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    backend(monkeypatch, "wrong", wrong)
    served = opened()
    agrees(served)
    assert served.how != "wrong"
    [row] = [each for each in served.candidates if each.backend == "wrong"]
    assert row.outcome == "refused"
    assert "differs by" in row.reason


@pytest.mark.usefixtures("quick")
def test_what_the_config_names_is_served_without_a_comparison() -> None:
    served = opened(backend="eager")
    assert served.how == "eager"
    assert outcomes(served) == {"eager": "chosen"}


def test_a_function_of_the_users_own_is_a_backend() -> None:
    served = opened(backend=f"{__name__}:own")
    assert served.how == f"{__name__}:own"
    assert served.checks.compilation.code == "passed"


def test_a_backend_of_the_users_own_that_returns_nothing_to_call_is_told() -> None:
    with pytest.raises(ModelError, match=r"backend .*:nothing returned a int\nhelp: it gets the module"):
        opened(backend=f"{__name__}:nothing")


def test_a_network_that_is_wrong_in_every_way_gets_the_error_of_the_first() -> None:
    with pytest.raises(ModelError, match="rows influence each other"):
        open_model(config(f"{NETWORKS}:BatchStatistics"), "cpu")


def test_a_row_of_the_table_reads_as_a_line() -> None:
    row = Tried("compile", "bf16", "not_faster", "takes 1.20 times as long as eager fp32, in turns", 1234.5)
    assert (
        row.line == "torch.compile bf16, 1,234.5 rows/s: not faster: takes 1.20 times as long as eager fp32, in turns"
    )
    assert str(Candidate("eager", "fp32")) == "eager fp32"


@pytest.mark.parametrize(
    "device, units, minutes, tried",
    [
        ("cpu", False, False, False),
        ("cpu", True, False, True),
        ("cpu", False, True, True),
        ("cuda", False, False, True),
    ],
)
def test_a_start_leaves_out_bf16_where_the_processor_would_emulate_it(
    device: str, units: bool, minutes: bool, tried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "has_bf16", lambda: units)
    given = config(precision="auto", accept={"agreement": 0.999})
    own = SimpleNamespace(config=given.model_copy(update={"precision": "fp32"}), why="")
    found = candidates.field_of(given, device, own, minutes)  # type: ignore[arg-type]
    assert ("bf16" in {each.precision for each in found.asked}) == tried
