"""The fast reader reads a body as infer_json.parse does, or returns None."""

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.core.errors import BadRequest
from deployments.http.infer_json import parse
from deployments.http.json_fast_path import reader
from models.signature import Signature, Tensor

TYPES = ["FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"]


def signature(datatype: str, width: int = 2) -> Signature:
    return Signature((Tensor("x", datatype, (-1, width)),), (Tensor("y", "FP32", (-1, 1)),))


def request(data: Any, shape: Any = None, datatype: str = "FP32", **more: Any) -> bytes:
    tensor = {"name": "x", "datatype": datatype, "shape": shape or [len(data) // 2, 2], "data": data}
    return orjson.dumps({"inputs": [tensor], **more})


@pytest.mark.parametrize("datatype", TYPES)
def test_the_usual_request_is_read(datatype: str) -> None:
    found = reader(signature(datatype))(request([1, 2, 3, 4], datatype=datatype, id="7"))
    assert found is not None
    assert (found.rows, found.id, [each.name for each in found.outputs]) == (2, "7", ["y"])
    assert found.inputs["x"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        request([1, 2], parameters={"timeout": 1}),
        request([1, 2], outputs=[{"name": "y"}]),
        request([[1, 2]], [1, 2]),
        request([1], [1, 2]),
        request([1, True], [1, 2]),
        request(["1", 2], [1, 2]),
        request([1, None], [1, 2]),
        request([1e39, 1], [1, 2]),
        request([], [0, 2]),
        request([1, 2], [-1, 2]),
        request([1, 2], [1, 2], datatype="FP64"),
        request([1, 2], [10**12, 2]),
        b"[" * 5000,
    ],
)
def test_whatever_is_unusual_or_wrong_is_left_to_the_full_parser(body: bytes) -> None:
    assert reader(signature("FP32"))(body) is None


@pytest.mark.parametrize(
    "datatype, value", [("INT8", 128), ("UINT8", -1), ("UINT8", 256), ("INT64", 2**63), ("INT8", 1.0)]
)
def test_a_number_beyond_its_type_is_left_to_the_full_parser(datatype: str, value: float) -> None:
    assert reader(signature(datatype))(request([value, 0], [1, 2], datatype)) is None


numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False, width=32), st.booleans()
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(TYPES),
    st.lists(numbers, max_size=6),
    st.lists(st.one_of(st.integers(-1, 4), st.just(2)), max_size=3),
    st.sampled_from(["x", "y"]),
)
def test_both_read_alike_whatever_the_quick_one_reads(
    datatype: str, data: list[Any], shape: list[int], name: str
) -> None:
    body = _dumps({"inputs": [{"name": name, "datatype": datatype, "shape": shape, "data": data}]})
    quick = reader(signature(datatype))(body)
    if quick is None:
        return
    try:
        full = parse(body, None, signature(datatype))
    except BadRequest as error:
        raise AssertionError(f"the full parser refuses it: {error}") from error
    np.testing.assert_array_equal(quick.inputs["x"], full.inputs["x"])
    assert quick.inputs["x"].dtype == full.inputs["x"].dtype
    assert (quick.rows, quick.outputs) == (full.rows, full.outputs)


def _dumps(body: Any) -> bytes:

    return json.dumps(body).encode()


def test_models_that_are_not_plain_have_no_quick_reader() -> None:
    several = Signature((Tensor("a", "FP32", (-1, 1)), Tensor("b", "FP32", (-1, 1))), (Tensor("y", "FP32", (-1, 1)),))
    texts = Signature((Tensor("x", "BYTES", (-1,)),), (Tensor("y", "FP32", (-1, 1)),))
    half = Signature((Tensor("x", "FP32", (-1, 2)),), (Tensor("y", "FP16", (-1, 1)),))
    for each in (several, texts, half):
        assert reader(each)(request([1, 2])) is None
