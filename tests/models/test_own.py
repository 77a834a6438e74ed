"""A backend of the user's gets a module of its own, and what it returns is held against the network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from configs.schema import ModelConfig
from models.errors import ModelError
from models.startup.open_model import OpenedModel, open_model
from tests.models.test_open_model import config

BACKENDS = """
import torch


def coarse(module, inputs):
    for each in module.parameters():
        each.data = each.data * 2
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


def test_a_trace_of_the_user_s_that_would_be_wrong_is_refused_with_the_line(backends: Path) -> None:
    with pytest.raises(ModelError, match=r"backends\.py:trace returned a trace: .*control flow depends on the data at"):
        opened(backends, "trace", "tests.models.exported_networks:DataBranch")


def test_a_trace_of_the_user_s_that_is_right_is_served(backends: Path) -> None:
    served = opened(backends, "trace")
    row = np.ones((1, 4), np.float32)
    assert isinstance(served.runner.run([{"x": row}])["y"], np.ndarray)
    assert torch.is_inference_mode_enabled() is False
