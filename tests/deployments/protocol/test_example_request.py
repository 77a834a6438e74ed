"""A model's example, as its metadata shows it: a request that /infer takes, or nothing."""

from typing import Any

import numpy as np
import pytest

from deployments.protocol.example_request import example_request
from models.signature import Array, Signature, Tensor


def objects(*values: bytes) -> Array:
    found = np.empty(len(values), object)
    found[:] = values
    return found


@pytest.mark.parametrize(
    "datatype, array, data",
    [
        ("FP32", np.array([[1.5, 2]], np.float32), [1.5, 2.0]),
        ("BOOL", np.array([[True, False]]), [True, False]),
        ("BYTES", objects(b"a text"), ["a text"]),
    ],
)
def test_a_row_is_shown_as_a_request(datatype: str, array: Array, data: Any) -> None:
    signature = Signature((Tensor("x", datatype, (-1, *array.shape[1:])),), ())
    shown = {"name": "x", "datatype": datatype, "shape": list(array.shape), "data": data}
    assert example_request(signature, {"x": array}) == {"inputs": [shown]}


@pytest.mark.parametrize(
    "datatype, array",
    [
        ("BYTES", objects(b"\xff\xd8")),
        ("BYTES", objects(b"x" * 20_000)),
        ("UINT8", np.zeros((1, 3, 224, 224), np.uint8)),
        ("FP32", np.array([[np.nan]], np.float32)),
        ("FP16", np.zeros((1, 2), np.float16)),
    ],
)
def test_what_has_no_json_or_is_large_is_not_shown(datatype: str, array: Array) -> None:
    assert example_request(Signature((Tensor("x", datatype, (-1, *array.shape[1:])),), ()), {"x": array}) is None
