"""NaN and infinity in outputs: one flag for a batch, rows only where it is off, and only of float outputs."""

import numpy as np
import pytest
import torch

from models.runtime.layout import Layout
from models.runtime.nan_check import all_finite, nonfinite_rows
from models.runtime.runner import Runner
from models.signature import Array, Tensor

NAN, INF = float("nan"), float("inf")


def test_integers_alone_have_nothing_to_check() -> None:
    assert all_finite([torch.ones(2, dtype=torch.int64)]) is None


@pytest.mark.parametrize("values, expected", [([1.0, 2.0], True), ([1.0, NAN], False), ([-INF, 1.0], False)])
def test_one_flag_tells_of_all_outputs(values: list[float], expected: bool) -> None:
    found = all_finite([torch.ones(2), torch.tensor(values), torch.ones(2, dtype=torch.int64)])
    assert found is not None
    assert bool(found) is expected


def test_rows_are_found_over_all_outputs_whatever_their_shape() -> None:
    outputs: dict[str, Array] = {
        "a": np.array([[1, 2], [NAN, 2], [1, 2]], np.float32),
        "b": np.array([1, 1, INF], np.float16),
        "c": np.array([1, 2, 3]),
    }
    assert nonfinite_rows(outputs).tolist() == [False, True, True]


def runner(datatype: str = "FP32", check: bool = True) -> Runner:
    layout = Layout(torch.device("cpu"), torch.float32, False, (1, 4), ())
    outputs = [Tensor("y", datatype, (-1, 1)), Tensor("n", "INT64", (-1, 1))]
    made = Runner(lambda x: (x, x.to(torch.int64)), [Tensor("x", "FP32", (-1, 1))], outputs, layout)
    made.check_finite = check
    return made


@pytest.mark.parametrize(
    "rows, off",
    [([1, 2, 3], None), ([1, NAN, 3], [False, True, False]), ([INF], [True])],
)
def test_a_runner_that_checks_marks_the_real_rows_of_a_batch(rows: list[float], off: list[bool] | None) -> None:
    made = runner()
    batch = made.launch(made.stage([{"x": np.array(rows, np.float32).reshape(-1, 1)}]))
    made.finish(batch)
    assert (None if batch.nonfinite is None else batch.nonfinite.tolist()) == off


def test_what_overflows_only_in_the_declared_type_is_found() -> None:
    made = runner("FP16")
    batch = made.launch(made.stage([{"x": np.array([[70_000]], np.float32)}]))
    made.finish(batch)
    assert batch.nonfinite is not None


def test_without_check_finite_nothing_is_looked_at() -> None:
    made = runner(check=False)
    batch = made.launch(made.stage([{"x": np.array([[NAN]], np.float32)}]))
    made.finish(batch)
    assert (batch.finite, batch.nonfinite) == (None, None)
