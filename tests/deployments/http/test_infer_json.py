import struct
from typing import Any

import numpy as np
import orjson
import pytest

from deployments.core.request import InferResult
from deployments.http.infer_json import parse, render
from models.signature import NUMPY, Tensor
from tests.deployments.fake_service import WHOLE_NUMBERS, FakeService, ask, identity, infer, outputs_of, signature

JSON_VALUES: dict[str, list[Any]] = {
    **WHOLE_NUMBERS,
    "FP32": [-1.5, 0, 3.25],
    "FP64": [-1.5, 0, 1e300],
    "BYTES": ["", "é", "three"],
}


def as_wire(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        encoded = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(value)) + value for value in encoded)
    return np.array(values, NUMPY[datatype]).tobytes()


def described(datatype: str, shape: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": "INPUT0", "datatype": datatype, "shape": shape, **more}


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("datatype", sorted(JSON_VALUES))
def test_json_comes_back_as_it_went_in(datatype: str, rows: int) -> None:
    values = JSON_VALUES[datatype][:rows]
    answer = infer(identity(datatype), {"inputs": [described(datatype, [rows], data=values)]})
    assert answer.headers["content-type"] == "application/json"
    assert outputs_of(answer)["OUTPUT0"][0] == {
        "name": "OUTPUT0",
        "datatype": datatype,
        "shape": [rows],
        "data": values,
    }


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("datatype", sorted(NUMPY))
def test_bytes_come_back_as_they_went_in(datatype: str, rows: int) -> None:
    values = JSON_VALUES.get(datatype, [0.5, -1, 65504])[:rows]
    blob = as_wire(datatype, values)
    given = described(datatype, [rows], parameters={"binary_data_size": len(blob)})
    answer = infer(identity(datatype), {"parameters": {"binary_data_output": True}, "inputs": [given]}, blob)
    assert answer.headers["content-type"] == "application/octet-stream"
    output, found = outputs_of(answer)["OUTPUT0"]
    assert found == blob
    assert output["parameters"] == {"binary_data_size": len(blob)}
    assert "data" not in output


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[[1, 2, 3]], [[4, 5, 6]]]])
def test_data_may_be_flat_or_nested(data: list[Any]) -> None:
    service = identity("FP32", 1, 3)
    infer(service, {"inputs": [described("FP32", [2, 1, 3], data=data)]})
    assert service.seen[0].inputs["INPUT0"].tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


def test_binary_numbers_are_a_view_and_not_a_copy() -> None:
    service = identity("FP32", 4)
    blob = np.arange(8, dtype=np.float32).tobytes()
    infer(service, {"inputs": [described("FP32", [2, 4], parameters={"binary_data_size": 32})]}, blob)
    array = service.seen[0].inputs["INPUT0"]
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_any_byte_but_zero_is_true() -> None:
    service = identity("BOOL")
    infer(service, {"inputs": [described("BOOL", [3], parameters={"binary_data_size": 3})]}, b"\x00\x01\xff")
    assert service.seen[0].inputs["INPUT0"].tolist() == [False, True, True]


def two_inputs() -> FakeService:
    declared = signature(
        [Tensor("a", "INT32", (-1, 2)), Tensor("b", "INT32", (-1, 2)), Tensor("c", "INT32", (-1, 2))],
        [Tensor("sum", "INT32", (-1, 2)), Tensor("half", "FP16", (-1, 2))],
    )
    return FakeService(
        declared,
        lambda rows: {"sum": rows["a"] + rows["b"] + rows["c"], "half": (rows["a"] / 2).astype(np.float16)},
    )


def mixed() -> tuple[dict[str, Any], bytes]:
    inputs = [
        {"name": "c", "datatype": "INT32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
        {"name": "a", "datatype": "INT32", "shape": [1, 2], "data": [1, 2]},
        {"name": "b", "datatype": "INT32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
    ]
    outputs = [{"name": "half", "parameters": {"binary_data": True}}, {"name": "sum"}]
    return {"id": "x", "inputs": inputs, "outputs": outputs}, struct.pack("<4i", 100, 200, 10, 20)


def test_json_and_binary_mix_in_inputs_and_in_outputs() -> None:
    body, blob = mixed()
    answer = infer(two_inputs(), body, blob)
    found = outputs_of(answer)
    assert list(found) == ["half", "sum"]
    assert np.frombuffer(found["half"][1], np.float16).tolist() == [0.5, 1.0]
    assert found["sum"][0]["data"] == [111, 222]
    head = orjson.loads(answer.body[: int(answer.headers["inference-header-content-length"])])
    assert (head["id"], head["model_name"], head["model_version"]) == ("x", "fake", "1")


def test_an_output_may_want_json_where_the_request_wants_binary() -> None:
    given = described("INT32", [1], data=[5])
    body = {
        "parameters": {"binary_data_output": True},
        "inputs": [given],
        "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": False}}],
    }
    answer = infer(identity("INT32"), body)
    assert outputs_of(answer)["OUTPUT0"][0]["data"] == [5]
    assert "inference-header-content-length" not in answer.headers


def test_no_id_is_answered_where_none_was_sent() -> None:
    answer = infer(identity("INT32"), {"inputs": [described("INT32", [1], data=[5])], "outputs": []})
    assert "id" not in answer.json


def test_a_header_length_of_the_whole_body_is_legal() -> None:
    body = orjson.dumps({"inputs": [described("INT32", [1], data=[5])]})
    assert parse(body, len(body), identity("INT32").signature).rows == 1


def test_nan_and_infinity_are_null_in_json_and_exact_in_binary() -> None:
    service = identity("FP32")
    values = np.array([np.nan, np.inf, 1], np.float32)
    service.act = lambda _rows: {"OUTPUT0": values}
    given = described("FP32", [3], data=[0, 0, 0])
    assert outputs_of(infer(service, {"inputs": [given]}))["OUTPUT0"][0]["data"] == [None, None, 1]
    binary = infer(service, {"parameters": {"binary_data_output": True}, "inputs": [given]})
    assert outputs_of(binary)["OUTPUT0"][1] == values.tobytes()


def test_timeout_and_priority_are_read_and_unknown_parameters_ignored() -> None:
    parameters = {"timeout": 1500, "priority": 2, "sequence_id": 7, "mine": [1]}
    body = orjson.dumps({"parameters": parameters, "inputs": [described("INT32", [1], data=[5], parameters=None)]})
    request = parse(memoryview(body), None, identity("INT32").signature)
    assert (request.timeout_s, request.priority) == (0.0015, 2)


@pytest.mark.parametrize("parameters", [{"seed": 0}, {"seed": 2**63 - 1}, {"seed": None}, {}])
def test_a_seed_is_read_from_json_and_beside_binary_tensors(parameters: dict[str, Any]) -> None:
    signature = identity("INT32").signature
    body = orjson.dumps({"parameters": parameters, "inputs": [described("INT32", [1], data=[5])]})
    assert parse(body, None, signature).seed == parameters.get("seed")
    binary = described("INT32", [1], parameters={"binary_data_size": 4})
    head = orjson.dumps({"parameters": parameters, "inputs": [binary]})
    assert parse(head + bytes(4), len(head), signature).seed == parameters.get("seed")


def test_hooks_get_the_parameters_as_they_were_sent() -> None:
    given, parameters = described("INT32", [1], data=[5]), {"timeout": 1500, "mine": {"a": [1, None]}}
    body = orjson.dumps({"parameters": parameters, "inputs": [given]})
    assert parse(memoryview(body), None, identity("INT32").signature).parameters == parameters


def test_text_that_a_model_gives_is_text_in_json() -> None:
    service = identity("BYTES")
    service.act = lambda _: {"OUTPUT0": np.array(["ä".encode(), b"b"], object)}
    output = outputs_of(infer(service, {"inputs": [described("BYTES", [1], data=["a"])]}))["OUTPUT0"][0]
    assert (output["datatype"], output["shape"], output["data"]) == ("BYTES", [2], ["ä", "b"])


def test_bytes_that_json_cannot_hold_are_refused_with_the_way_to_get_them() -> None:
    service = identity("BYTES")
    service.act = lambda _: {"OUTPUT0": np.array([b"\x89PNG"], object)}
    body: dict[str, Any] = {"inputs": [described("BYTES", [1], data=["a"])]}
    for answer in (infer(service, body), ask(service, "/predict", {"instances": ["a"]})):
        assert answer.status == 400
        assert answer.json["error"].startswith("output 'OUTPUT0' has bytes that are not UTF-8, which JSON cannot hold")
    assert outputs_of(infer(service, {**body, "parameters": {"binary_data_output": True}}))["OUTPUT0"][1].endswith(
        b"\x89PNG"
    )


def test_bytes_that_are_not_text_survive_in_binary() -> None:
    service = identity("BYTES")
    request = parse(b"\xff\x00", 0, service.signature)
    body, length = render("m", request, InferResult("1", {"OUTPUT0": request.inputs["INPUT0"]}))
    assert body[length:] == b"\x02\x00\x00\x00\xff\x00"
