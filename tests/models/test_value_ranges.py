"""Which whole numbers are refused: those outside of `low` and `high`, and no padding."""

from typing import Any

import numpy as np
import pytest

from configs.tensors import DimConfig, TensorConfig
from models.runtime.dims import dims_in
from models.runtime.value_ranges import ValueRanges
from models.signature import as_tensors

PADDED, NOT_PADDED = {"sizes": (4, 8), "pad": {"x": 0}}, {"sizes": (4, 8), "pad": "none"}
BEYOND = 2**63 + 5  # Of int64; as a float it is 2**63.


def ranges(*inputs: dict[str, Any], **dims: dict[str, Any]) -> ValueRanges:
    given = [TensorConfig.model_validate({"name": "x", "shape": ["batch", 2], **each}) for each in inputs]
    open_dims = {name: DimConfig.model_validate(each) for name, each in dims.items()}
    return ValueRanges(as_tensors(given, open_dims), dims_in(open_dims))


@pytest.mark.parametrize(
    "datatype, bounds, taken, refused, allowed",
    [
        ("INT64", {"high": 9}, [0, 9], 10, "0 to 9"),
        ("INT64", {"high": 9}, [0, 9], -1, "0 to 9"),
        ("INT32", {"low": -5, "high": -2}, [-5, -2], -1, "-5 to -2"),
        ("INT8", {"low": -5}, [-5, 127], -6, "-5 or more"),
        ("INT16", {"low": 1}, [1, 32767], 0, "1 or more"),
        ("UINT8", {"high": 254}, [0, 254], 255, "0 to 254"),
        ("UINT8", {"low": 1, "high": 255}, [1, 255], 0, "1 to 255"),
        ("UINT64", {"high": BEYOND}, [0, BEYOND], BEYOND + 1, f"0 to {BEYOND}"),
        ("INT64", {"high": 2**53 + 1}, [0, 2**53 + 1], 2**53 + 2, f"0 to {2**53 + 1}"),
    ],
)
def test_both_bounds_are_allowed_and_what_lies_beyond_is_refused(
    datatype: str, bounds: dict[str, int], taken: list[int], refused: int, allowed: str
) -> None:
    checked = ranges({"datatype": datatype, **bounds})
    kind = getattr(np, datatype.lower())
    assert checked.refused({"x": np.array([taken], kind)}) is None
    said = checked.refused({"x": np.array([taken, taken, [taken[0], refused], [refused, refused]], kind)})
    assert said == f"'x' has {refused} in row 2, this model takes {allowed}"


@pytest.mark.parametrize(
    "datatype, bounds",
    [
        ("INT64", {}),
        ("UINT8", {"low": 0, "high": 255}),
        ("INT8", {"low": -128, "high": 127}),
        ("INT64", {"low": -(2**63), "high": 2**63 - 1}),
        ("UINT64", {"high": 2**64 - 1}),
        ("FP32", {"low": 0, "high": 1}),
        ("FP64", {"high": 1}),
    ],
)
def test_floats_and_bounds_of_the_datatype_itself_are_not_checked(datatype: str, bounds: dict[str, int]) -> None:
    assert not ranges({"datatype": datatype, **bounds})


@pytest.mark.parametrize("shape", [(0, 2), (0, 0)])
def test_a_request_without_rows_is_taken(shape: tuple[int, ...]) -> None:
    assert ranges({"datatype": "INT64", "low": 1, "high": 9}).refused({"x": np.empty(shape, np.int64)}) is None


def test_the_second_input_is_checked_as_the_first_is() -> None:
    checked = ranges({"datatype": "INT64", "high": 9}, {"datatype": "INT64", "high": 3, "name": "kind"})
    rows = {"x": np.array([[9, 9]]), "kind": np.array([[3, 4]])}
    assert checked.refused(rows) == "'kind' has 4 in row 0, this model takes 0 to 3"


X = {"datatype": "FP32", "shape": ["batch", "tokens"]}
STEPS = {"name": "steps", "datatype": "INT64", "shape": ["batch"], "low": 1, "high": "tokens"}


@pytest.mark.parametrize("dim", [PADDED, NOT_PADDED])
@pytest.mark.parametrize("datatype", ["INT64", "UINT8", "INT8"])
def test_a_bound_that_is_a_dimension_is_the_size_that_the_request_has(datatype: str, dim: dict[str, Any]) -> None:
    checked = ranges(X, {**STEPS, "datatype": datatype}, tokens=dim)
    kind = getattr(np, datatype.lower())
    for size in (3, 8):
        rows = {"x": np.zeros((2, size), np.float32)}
        assert checked.refused({**rows, "steps": np.array([1, size], kind)}) is None
        said = checked.refused({**rows, "steps": np.array([1, size + 1], kind)})
        assert said == f"'steps' has {size + 1} in row 1, this model takes 1 to {size}, the tokens of this request"
        assert "has 0 in row 0" in (checked.refused({**rows, "steps": np.array([0, 1], kind)}) or "")


IDS = {"datatype": "INT64", "shape": ["batch", "tokens"], "low": 1, "high": 9}


def test_a_client_may_pad_as_the_server_does() -> None:
    checked = ranges(IDS, tokens=PADDED)
    assert checked.refused({"x": np.array([[9, 1, 0, 0]])}) is None
    said = checked.refused({"x": np.array([[9, 0], [-1, 0]])})
    assert said == "'x' has -1 in row 1, this model takes 1 to 9, and 0 as padding"


def test_where_the_server_pads_nothing_its_padding_is_no_value() -> None:
    said = ranges(IDS, tokens=NOT_PADDED).refused({"x": np.array([[9, 0]])})
    assert said == "'x' has 0 in row 0, this model takes 1 to 9"


def test_before_a_preprocess_no_dimension_bounds_an_input() -> None:
    given = TensorConfig.model_validate(STEPS)
    [only] = ValueRanges(as_tensors([given])).ranges
    assert only.describe() == {"low": 1, "high": None, "padding": None}
