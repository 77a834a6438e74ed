"""What a preprocess or a forward returns is held against the start: rows, names, dtypes, ranks and sizes."""

from typing import Any

import numpy as np
import pytest
import torch

from models.errors import ModelError
from models.runtime.layout import Layout
from models.runtime.returned_values import check_model_inputs
from models.runtime.runner import Runner
from models.signature import Tensor
from tests.open_sizes import open_sizes

FEED = (Tensor("ids", "INT64", (-1, -1)), Tensor("x", "FP32", (-1, 3)))
IDS, X = np.zeros((2, 5), np.int64), np.zeros((2, 3), np.float32)
OUT = (Tensor("y", "FP32", (-1, 2)),)
LAYOUT = Layout(torch.device("cpu"), torch.float32, False, (1, 2, 4), ())


def test_what_was_declared_passes_in_the_models_order_whatever_mapping_it_came_in() -> None:
    from collections import UserDict  # As transformers' BatchEncoding is.

    found = check_model_inputs(UserDict({"x": X, "ids": IDS}), 2, FEED)
    assert list(found) == ["ids", "x"]
    assert found["x"] is X


@pytest.mark.parametrize(
    "found, said",
    [
        (None, "a NoneType"),
        ([IDS, X], "a list"),
        ({"ids": IDS}, "the names ['ids']"),
        ({"ids": IDS, "x": X, "more": X}, "the names ['ids', 'x', 'more']"),
        ({"ids": IDS, "y": X}, "the names ['ids', 'y']"),
        ({"ids": IDS, "x": X.tolist()}, "a list as 'x'"),
        ({"ids": IDS, "x": torch.zeros(2, 3)}, "a Tensor as 'x'"),
        ({"ids": IDS.astype(np.int32), "x": X}, "'ids' as int32 [2, 5]"),
        ({"ids": IDS, "x": X.astype(">f4")}, "'x' as >f4 [2, 3]"),
        ({"ids": IDS[:1], "x": X}, "'ids' as int64 [1, 5]"),
        ({"ids": IDS, "x": np.zeros((3, 3), np.float32)}, "'x' as float32 [3, 3]"),
        ({"ids": IDS, "x": X[:, :2]}, "'x' as float32 [2, 2]"),
        ({"ids": IDS[0], "x": X}, "'ids' as int64 [5]"),
        ({"ids": IDS, "x": X[..., None]}, "'x' as float32 [2, 3, 1]"),
        ({"ids": np.int64(3), "x": X}, "a int64 as 'ids'"),
    ],
)
def test_anything_else_is_refused_with_what_came_and_what_was_expected(found: Any, said: str) -> None:
    with pytest.raises(ModelError) as raised:
        check_model_inputs(found, 2, FEED)
    assert str(raised.value).startswith(f"preprocess returned {said} for 2 rows; expected a dict with ")
    assert "'ids' as int64 [2, -1], 'x' as float32 [2, 3]" in str(raised.value)


def test_the_first_input_beyond_the_longest_is_named() -> None:
    assert open_sizes((5,), "ids").refused({"ids": IDS}) is None
    assert "'ids' has 5 along its open size, this model takes at most 4" in str(
        open_sizes((4,), "ids").refused({"ids": IDS})
    )


def runner(forward: Any) -> Runner:
    """Return a runner that has seen the forward be good once."""
    made = Runner(lambda x: x[:, :2], FEED[1:], OUT, LAYOUT)
    made.run([{"x": X}])
    made.forward = forward
    return made


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x[1:, :2],
        lambda x: torch.cat([x, x])[:, :2],
        lambda x: x[:, :2][x[:, 0] > 0],
        lambda x: x[:, :1],
        lambda x: x[:, 0],
        lambda x: x[:, :2, None],
        lambda x: x.sum(),
        lambda x: x[:, :2].long(),
        lambda x: x[:, :2] > 0,
        lambda x: torch.complex(x, x)[:, :2],
        lambda _: None,
        lambda x: x[:, :2].numpy(),
        lambda x: (x[:, :2], x[:, :2]),
        lambda x: {"z": x[:, :2]},
    ],
)
def test_a_forward_that_returns_something_else_than_at_the_start_is_refused_there(forward: Any) -> None:
    with pytest.raises(ModelError, match="output"):
        runner(forward).run([{"x": X}, {"x": X[:1]}])


def test_rows_that_the_padding_adds_are_counted_too() -> None:
    # 3 rows are padded to 4: a forward that returns the 3 real ones has left one out, though nobody asked for it.
    with pytest.raises(ModelError, match=r"has shape \[3, 2\] for 4 rows"):
        runner(lambda x: x[:3, :2]).run([{"x": X}, {"x": X[:1]}])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_another_float_is_no_fault(dtype: torch.dtype) -> None:
    assert runner(lambda x: x[:, :2].to(dtype)).run([{"x": X}])["y"].dtype == np.float32


def test_answers_stay_as_they_were_where_forward_writes_into_memory_of_its_own() -> None:
    kept: dict[int, torch.Tensor] = {}

    def forward(x: torch.Tensor) -> torch.Tensor:
        return kept.setdefault(len(x), torch.zeros(len(x), 2)).copy_(x[:, :2])

    made = runner(forward)
    for _ in range(2):  # As often as a start runs each size at least.
        made.run([{"x": X}])
    first = made.run([{"x": X}])["y"]
    made.run([{"x": X + 1}])
    assert (first == X[:, :2]).all()


def test_inputs_of_one_request_share_their_open_size() -> None:
    ids, mask = np.ones((1, 3)), np.ones((1, 4))
    assert open_sizes((8,), "ids", "mask").refused({"ids": ids, "mask": mask[:, :3]}) is None
    assert open_sizes((8,), "ids").refused({"ids": ids}) is None
    told = open_sizes((8,), "ids", "mask").refused({"ids": ids, "mask": mask})
    assert told is not None
    assert "got {'ids': 3, 'mask': 4}" in told
