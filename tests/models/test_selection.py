"""`backend: auto` serves the fastest candidate that passes the checks, and says what came of the others."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from configs.backends import BACKENDS, TORCHSCRIPT, Backend
from models.compile.build import Compiled, Uncompiled
from models.errors import ModelError
from models.startup.candidates import Candidate, Tried
from models.startup.open_model import OpenedModel, open_model
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


def test_a_faster_candidate_that_answers_otherwise_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "wrong", Backend("wrong", "wrong", f"{__name__}_wrong"))
    monkeypatch.setitem(
        __import__("sys").modules, f"{__name__}_wrong", type("wrong", (), {"build": staticmethod(wrong)})
    )
    served = opened()
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
