from typing import Any

import numpy as np
import pytest

from models.signature import NUMPY
from tests.deployments.fake_service import identity, infer, outputs_of


def described(datatype: str, shape: list[int], **more: Any) -> dict[str, Any]:
    return {"name": "INPUT0", "datatype": datatype, "shape": shape, **more}


@pytest.mark.parametrize(
    "datatype, values, expected",
    [
        ("FP32", [[0.5, 2, 2], [float("nan"), -1, 0]], [["2.000000:1", "2.000000:2"], ["0.000000:2", "-1.000000:1"]]),
        ("UINT8", [[0, 255, 7]], [["255:1", "7:2"]]),
        ("INT8", [[-128, 127, 0]], [["127:1", "0:2"]]),
        ("BOOL", [[False, True, False]], [["1:1", "0:0"]]),
        ("FP32", np.empty((0, 3)), []),
    ],
)
def test_classification_gives_the_k_highest_of_each_row(datatype: str, values: Any, expected: list[list[str]]) -> None:
    service = identity(datatype, 3)
    array = np.array(values, NUMPY[datatype])
    service.act = lambda _rows: {"OUTPUT0": array}
    body = {
        "inputs": [described(datatype, [1, 3], data=[1, 1, 1] if datatype != "BOOL" else [True] * 3)],
        "outputs": [{"name": "OUTPUT0", "parameters": {"classification": 2}}],
    }
    output = outputs_of(infer(service, body))["OUTPUT0"][0]
    assert output["datatype"] == "BYTES"
    assert output["shape"] == [len(expected), 2]
    assert output["data"] == [text for row in expected for text in row]


def test_classification_of_more_classes_than_there_are_gives_all_and_may_be_binary() -> None:
    body = {
        "inputs": [described("INT32", [1, 2], data=[3, 4])],
        "outputs": [{"name": "OUTPUT0", "parameters": {"classification": 99, "binary_data": True}}],
    }
    output, blob = outputs_of(infer(identity("INT32", 2), body))["OUTPUT0"]
    assert output["shape"] == [1, 2]
    assert blob == b"\x03\x00\x00\x004:1\x03\x00\x00\x003:0"


def test_classification_of_text_is_refused() -> None:
    body = {
        "inputs": [described("BYTES", [1], data=["a"])],
        "outputs": [{"name": "OUTPUT0", "parameters": {"classification": 2}}],
    }
    answer = infer(identity("BYTES"), body)
    assert answer.status == 400
    assert "output 'OUTPUT0' is BYTES, and classification is for numbers" in answer.json["error"]
