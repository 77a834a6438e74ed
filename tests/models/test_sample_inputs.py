"""What a preprocessing may return, as the start's first rows show it."""

import numpy as np
import pytest

from models.errors import ModelError
from models.signature import Array, Rows, Signature, Tensor
from models.startup.sample_inputs import SampleInputs
from tests.open_sizes import dims_of

SIGNATURE = Signature((Tensor("x", "FP32", (-1, 4)),), (Tensor("y", "FP32", (-1, 1)),))


def sums(rows: Rows) -> dict[str, Array]:
    return {"sum": rows["x"].sum(1)}


def test_lengths_without_anything_of_that_length_are_refused_and_the_config_is_named() -> None:
    with pytest.raises(ModelError, match=r"lengths is given.*\nhelp: leave lengths out"):
        SampleInputs(SIGNATURE, sums, dims_of((8, 16)))
    assert [tensor.fixed for tensor in SampleInputs(SIGNATURE, sums, ()).model_inputs] == [True]


def test_what_has_more_sizes_than_the_rows_is_open_where_lengths_are_given() -> None:
    twice = SampleInputs(SIGNATURE, lambda rows: {"x": np.repeat(rows["x"], 2, axis=1), **sums(rows)}, dims_of((8, 16)))
    assert [tensor.name for tensor in twice.model_inputs if not tensor.fixed] == ["x"]
