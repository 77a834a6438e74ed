import struct
from typing import Any

import numpy as np
import pytest

from deployments.stubs import open_inference_pb2 as pb
from models.signature import NUMPY, Tensor
from tests.deployments.fake_rpc import Input, Output, Request, column, infer, parameter, raw, typed
from tests.deployments.fake_service import WHOLE_NUMBERS, FakeService, identity, signature

VALUES: dict[str, list[Any]] = {
    **WHOLE_NUMBERS,
    "FP16": [0.5, -1, 65504],
    "FP32": [-1.5, float("inf"), 3.25],
    "FP64": [-1.5, float("-inf"), 1e300],
    "BYTES": [b"", "é".encode(), b"\xff\x00"],
}
FIELDS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def as_wire(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(value)) + value for value in values)
    return np.array(values, NUMPY[datatype]).tobytes()


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("datatype", sorted(NUMPY))
def test_raw_contents_come_back_as_they_went_in(datatype: str, rows: int) -> None:
    values = VALUES[datatype][:rows]
    answer = infer(identity(datatype), raw(column(values, NUMPY[datatype]), datatype))
    [output] = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("OUTPUT0", datatype, [rows])
    assert list(answer.raw_output_contents) == [as_wire(datatype, values)]


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("datatype", sorted(FIELDS))
def test_typed_contents_are_answered_raw(datatype: str, rows: int) -> None:
    values = VALUES[datatype][:rows]
    service = identity(datatype)
    answer = infer(service, typed(FIELDS[datatype], values, datatype))
    assert list(answer.raw_output_contents) == [as_wire(datatype, values)]
    assert not answer.outputs[0].HasField("contents")
    assert service.seen[0].inputs["INPUT0"].dtype == NUMPY[datatype]


def test_typed_contents_take_the_shape_that_is_sent() -> None:
    service = identity("INT32", 1, 3)
    infer(service, typed("int_contents", range(6), "INT32", [2, 1, 3]))
    assert service.seen[0].inputs["INPUT0"].tolist() == [[[0, 1, 2]], [[3, 4, 5]]]


def test_raw_numbers_are_a_view_of_the_message() -> None:
    service = identity("FP32", 4)
    infer(service, raw(np.arange(8, dtype=np.float32).reshape(2, 4), "FP32"))
    array = service.seen[0].inputs["INPUT0"]
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_a_large_tensor_comes_back_whole() -> None:
    sent = np.random.default_rng(0).integers(0, 256, (64, 3, 224, 224), np.uint8)
    answer = infer(identity("UINT8", 3, 224, 224), raw(sent, "UINT8"))
    assert answer.raw_output_contents[0] == sent.tobytes()


def two_inputs() -> FakeService:
    declared = signature(
        [Tensor("a", "INT32", (-1, 2)), Tensor("s", "BYTES", (-1,))],
        [Tensor("sum", "INT32", (-1,)), Tensor("half", "FP16", (-1, 2))],
    )
    return FakeService(
        declared,
        lambda rows: {"sum": rows["a"].sum(1).astype(np.int32), "half": (rows["a"] / 2).astype(np.float16)},
    )


def test_raw_contents_belong_to_the_inputs_in_their_order() -> None:
    service = two_inputs()
    inputs = [Input(name="s", datatype="BYTES", shape=[1]), Input(name="a", datatype="INT32", shape=[1, 2])]
    raws = [as_wire("BYTES", [b"text"]), as_wire("INT32", [1, 2])]
    answer = infer(service, Request(model_name="fake", id="x", inputs=inputs, raw_input_contents=raws))
    assert service.seen[0].inputs["s"].tolist() == [b"text"]
    assert [output.name for output in answer.outputs] == ["sum", "half"]
    assert (answer.model_name, answer.model_version, answer.id) == ("fake", "1", "x")
    assert np.frombuffer(answer.raw_output_contents[1], np.float16).tolist() == [0.5, 1.0]


def test_only_what_is_asked_is_answered_in_the_order_asked() -> None:
    inputs = [Input(name="a", datatype="INT32", shape=[1, 2]), Input(name="s", datatype="BYTES", shape=[1])]
    raws = [as_wire("INT32", [1, 2]), as_wire("BYTES", [b""])]
    request = Request(model_name="fake", inputs=inputs, raw_input_contents=raws, outputs=[Output(name="half")])
    assert [output.name for output in infer(two_inputs(), request).outputs] == ["half"]
    request.outputs.add(name="sum")
    assert [output.name for output in infer(two_inputs(), request).outputs] == ["half", "sum"]


def test_an_output_asked_as_classification_is_told_in_words() -> None:
    asked = Output(name="OUTPUT0", parameters={"classification": parameter(2)})
    request = raw(np.array([[1, 3, 2]], np.float32), "FP32", outputs=[asked])
    answer = infer(identity("FP32", 3), request)
    assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("BYTES", [1, 2])
    assert answer.raw_output_contents[0] == as_wire("BYTES", [b"3.000000:1", b"2.000000:2"])


@pytest.mark.parametrize("kind", ["int64_param", "uint64_param"])
def test_timeout_and_priority_are_read_and_unknown_parameters_ignored(kind: str) -> None:
    fields: Any = pb.InferParameter
    numbers = {"timeout": fields(**{kind: 1500}), "priority": fields(**{kind: 2})}
    others = {"sequence_id": parameter(7), "mine": parameter("x"), "binary_data_output": parameter(False)}
    service = identity("INT32")
    infer(service, raw(column([5], np.int32), "INT32", parameters={**numbers, **others}))
    [seen] = service.seen
    assert (seen.timeout_s, seen.priority) == (0.0015, 2)
    given = {"timeout": 1500, "priority": 2, "sequence_id": 7, "mine": "x", "binary_data_output": False}
    assert seen.parameters == given


@pytest.mark.parametrize("kind", ["int64_param", "uint64_param"])
@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_a_seed_is_read(kind: str, seed: int) -> None:
    service, given = identity("INT32"), pb.InferParameter(**{kind: seed})  # type: ignore[arg-type]
    infer(service, raw(column([5], np.int32), "INT32", parameters={"seed": given}))
    infer(service, raw(column([5], np.int32), "INT32"))
    assert [each.seed for each in service.seen] == [seed, None]


def test_a_name_of_the_version_asked_may_be_left_out_or_right() -> None:
    for version in ("", "1"):
        answer = infer(identity("INT32"), raw(column([5], np.int32), "INT32", model_version=version))
        assert answer.model_version == "1"


def test_no_id_is_answered_where_none_was_sent() -> None:
    service = identity("INT32")
    assert infer(service, raw(column([5], np.int32), "INT32")).id == ""
    assert service.seen[0].id is None


def test_binary_data_false_means_nothing_over_grpc() -> None:
    asked = Output(name="OUTPUT0", parameters={"binary_data": parameter(False)})
    answer = infer(identity("FP16"), raw(column([1], np.float16), "FP16", outputs=[asked]))
    assert answer.raw_output_contents[0] == as_wire("FP16", [1])
