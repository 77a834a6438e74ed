"""A backend of the user's gets a module of its own, and what it returns is held against the network."""

import threading
from pathlib import Path

import numpy as np
import pytest

from configs.schema import ModelConfig
from models.errors import ModelError
from models.startup.open_model import OpenedModel, open_model
from tests.models.networks import Linear
from tests.models.test_open_model import config

BACKENDS = """
import torch


def coarse(module, inputs):
    for each in module.parameters():
        each.data = each.data * 2
    return module


def same(module, inputs):
    return module


def halves(module, inputs):
    module.bfloat16()
    return lambda x: module(x.bfloat16()).float()


def fails(module, inputs):
    def forward(x):
        if len(x) == 1:
            raise RuntimeError("no single rows")
        return module(x)

    return forward


def trace(module, inputs):
    return torch.jit.trace(module, inputs, check_trace=False)


def frozen(module, inputs):
    return torch.jit.freeze(trace(module, inputs))


def script(module, inputs):
    return torch.jit.freeze(torch.jit.script(module))


def memory(module, inputs):
    def forward(x):
        raise torch.OutOfMemoryError("out of memory")

    return forward
"""


@pytest.fixture
def backends(tmp_path: Path) -> Path:
    (tmp_path / "backends.py").write_text(BACKENDS)
    return tmp_path / "backends.py"


def given(backends: Path, name: str, network: str = "tests.models.networks:Linear", **keys: object) -> ModelConfig:
    return config(network, backend=f"{backends}:{name}", **keys)


def opened(*args: object, **keys: object) -> OpenedModel:
    return open_model(given(*args, **keys), "cpu")  # type: ignore[arg-type]


def test_what_changes_the_module_in_place_is_compared_with_the_module_as_it_was(backends: Path) -> None:
    with pytest.raises(ModelError, match="differs"):
        opened(backends, "coarse")
    served = opened(backends, "halves", tolerance=0.1)
    assert served.checks.compilation.deviation > 0


def test_a_forward_that_fails_names_the_backend_and_the_sizes(backends: Path) -> None:
    with pytest.raises(ModelError, match=r"backends\.py:fails returned fails on inputs of \[1, 4\]: .*no single rows"):
        opened(backends, "fails")


@pytest.mark.parametrize("name", ["trace", "frozen"])
def test_a_trace_of_the_user_s_that_would_be_wrong_is_refused_with_the_line(name: str, backends: Path) -> None:
    with pytest.raises(ModelError, match=rf"{name} returned a trace: .*control flow depends on the data at"):
        opened(backends, name, "tests.models.exported_networks:DataBranch")


class Locked(Linear):
    """It cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_a_module_that_cannot_be_copied_is_handed_over_and_must_stay_as_it_is(backends: Path) -> None:
    assert opened(backends, "same", f"{__name__}:Locked").checks.compilation.deviation == 0
    with pytest.raises(ModelError, match=r"backends\.py:coarse changes the module, of which no copy can be made"):
        opened(backends, "coarse", f"{__name__}:Locked")


def test_out_of_memory_stays_what_it_is(backends: Path) -> None:
    with pytest.raises(ModelError, match="OutOfMemoryError") as told:
        opened(backends, "memory")
    assert "returned fails on inputs" not in str(told.value)


@pytest.mark.parametrize("name", ["trace", "frozen", "script"])
def test_what_the_user_s_own_compiles_rightly_is_served(name: str, backends: Path) -> None:
    served = opened(backends, name)
    row = np.ones((1, 4), np.float32)
    assert isinstance(served.runner.run([{"x": row}])["y"], np.ndarray)
