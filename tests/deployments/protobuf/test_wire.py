from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.core.errors import BadRequest
from deployments.protobuf.wire import nested, repeated, split, text
from deployments.stubs import open_inference_pb2 as pb


def message(*raws: bytes) -> bytes:
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 2**40])
    request = pb.ModelInferRequest(
        model_name="modèle", model_version="2", id="7", inputs=[tensor], raw_input_contents=raws
    )
    written: bytes = request.SerializeToString()
    return written


@pytest.mark.parametrize("raws", [[], [b""], [b"a"], [b"a" * 127, b"b" * 128], [b"x" * 70_000, b"", b"y"]])
def test_raw_contents_are_taken_out_and_the_rest_is_left(raws: list[bytes]) -> None:
    rest, taken = split(message(*raws), 7)
    assert [bytes(each) for each in taken] == raws
    assert rest == message()


def test_raw_contents_are_views_of_the_message() -> None:
    sent = message(b"abcd")
    _, [taken] = split(sent, 7)
    assert taken.obj is sent


def test_fields_may_come_in_any_order_and_between_the_others() -> None:
    raws = repeated(7, [b"one"])
    sent = b"".join((*raws, message(b"two"), *repeated(7, [b"three"])))
    rest, taken = split(sent, 7)
    head = pb.ModelInferRequest.FromString(rest)
    assert [bytes(each) for each in taken] == [b"one", b"two", b"three"]
    assert (head.model_name, head.id, list(head.inputs[0].shape)) == ("modèle", "7", [1, 2**40])


def test_strings_are_read_and_the_last_of_a_name_counts() -> None:
    assert text(message(b"raw"), 1, 3) == ["modèle", "7"]
    assert text(b"", 1) == [""]
    assert text(message() + pb.ModelReadyRequest(name="b").SerializeToString(), 1) == ["b"]


def test_fields_of_other_kinds_are_passed_over() -> None:
    numbers = (
        pb.InferParameter(int64_param=-1).SerializeToString() + pb.InferParameter(double_param=1).SerializeToString()
    )
    fixed32 = b"\x35\x00\x00\x00\x00"
    assert text(numbers + fixed32 + pb.ModelReadyRequest(name="b").SerializeToString(), 1) == ["b"]


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_what_is_written_protobuf_reads(raws: list[bytes]) -> None:
    head = pb.ModelInferResponse(model_name="m").SerializeToString()
    parts = nested(2, [head, *repeated(6, raws)])
    found = pb.ModelStreamInferResponse.FromString(b"".join(parts)).infer_response
    assert (found.model_name, list(found.raw_output_contents)) == ("m", raws)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x0a",  # a tag, and no length
        b"\x0a\x05abc",  # shorter than it says
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length of too many bytes
        b"\x0b\x0c",  # groups, which proto3 does not have
        b"\x0f",  # a kind of field that does not exist
        b"\x80",  # half a tag
        b"\x0a\x01\xff",  # no UTF-8
    ],
)
def test_what_is_no_protobuf_is_refused(sent: bytes) -> None:
    with pytest.raises(BadRequest, match="do not parse"):
        text(sent, 1)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(sent: bytes) -> None:
    with suppress(BadRequest):
        split(sent, 7)
