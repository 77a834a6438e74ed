"""Probes keep to the bounds that a config gives."""

import pytest

from configs.schema import TensorConfig
from models.signature import Tensor
from models.startup.random_inputs import sample


@pytest.mark.parametrize("datatype, high", [("INT64", 2**63 - 1), ("UINT64", 2**64 - 1), ("UINT8", 255)])
def test_the_end_of_an_integer_type_can_be_drawn(datatype: str, high: int) -> None:
    config = TensorConfig(name="x", datatype=datatype, shape=(-1, 4), low=None, high=high)  # type: ignore[arg-type]
    tensor = Tensor(config.name, config.datatype, config.sizes, config.low, config.high)
    drawn = sample((tensor,), 8, seed=1)["x"]
    assert drawn.dtype == tensor.numpy
    assert int(drawn.max()) > high // 2
