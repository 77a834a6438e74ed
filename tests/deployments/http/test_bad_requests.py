"""Every way to be wrong has a status and a sentence of its own, and none of them is 5xx."""

from typing import Any

import orjson
import pytest

from tests.deployments.fake_service import ask, identity, infer, three_kinds


def x(**more: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2], **more}


N = {"name": "n", "datatype": "UINT8", "shape": [1], "data": [3]}
S = {"name": "s", "datatype": "BYTES", "shape": [1], "data": ["a"]}
Y = {"name": "y"}


def body(first: Any = None, n: Any = N, s: Any = S, **more: Any) -> dict[str, Any]:
    return {"inputs": [first or x(), n, s], "outputs": [Y], **more}


def without(tensor: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in tensor.items() if name != key}


def binary(size: Any, tensor: dict[str, Any] | None = None) -> dict[str, Any]:
    return {**without(tensor or x(), "data"), "parameters": {"binary_data_size": size}}


BAD_BODIES: list[tuple[Any, str]] = [
    (b"", "the body is empty"),
    (b"{", "not valid JSON: it ends too early, after 1 characters"),
    (b"[" * 5000, "not valid JSON from character 1025 on"),
    (b"{'inputs': []}", "not valid JSON from character 1 on"),
    (b"[]", "must be a JSON object with inputs; got []"),
    (b"null", "must be a JSON object"),
    ({}, "inputs must be a list of tensors; got none"),
    ({"inputs": {}}, "inputs must be a list of tensors; got {}"),
    ({"inputs": []}, "inputs must be a list of tensors; got []"),
    ({"inputs": [3]}, "inputs must hold objects with name, shape and datatype; got 3"),
    ({"inputs": [x(), N]}, "input 's' is missing"),
    ({"inputs": [x(), x()]}, "input 'x' is sent twice"),
    ({"inputs": [x(name="z")]}, "there is no input 'z': this model takes 'x' FP32 [-1, 2]"),
    ({"inputs": [x(name=["x"])]}, "there is no input ['x']"),
    ({"inputs": [without(x(), "name")]}, "there is no input None"),
    (body(x(datatype="FP64")), "input 'x' is FP32; the request says 'FP64'"),
    (body(without(x(), "datatype")), "input 'x' is FP32; the request says None"),
    (body(without(x(), "shape")), "shape must be a list of sizes, 0 or more; got None"),
    (body(x(shape="1,2")), "shape must be a list of sizes, 0 or more; got '1,2'"),
    (body(x(shape=[1, 2.0])), "shape must be a list of sizes"),
    (body(x(shape=[True, 2])), "shape must be a list of sizes"),
    (body(x(shape=[-1, 2])), "shape must be a list of sizes, 0 or more; got [-1, 2]"),
    (body(x(shape=[2])), "input 'x' has shape [-1, 2], -1 being open; got [2]"),
    (body(x(shape=[1, 3], data=[1, 2, 3])), "got [1, 3]"),
    (body(x(shape=[10**12, 2])), "shape [1000000000000, 2] has 2000000000000 elements, data has 2"),
    (body(x(shape=[2**62, 2])), "more elements than there can be"),
    (body(x(shape=[2**64 - 1, 2])), "more elements than there can be"),
    (body(x(shape=[2**62, 2**62])), "input 'x' has shape [-1, 2]"),
    (body(x(shape=[2, 2])), "shape [2, 2] has 4 elements, data has 2"),
    (body(x(shape=[2, 2], data=[1, 2, 3, 4])), "inputs must have the same number of rows"),
    (body(x(data=[])), "data has 0"),
    (body(x(data=7)), "data must be a list, flat or nested; got 7"),
    (body(x(data={"a": 1})), "data must be a list"),
    (body(x(data="12")), "data must be a list, flat or nested; got '12'"),
    (body(x(data=["1", "2"])), "input 'x' is FP32 and takes numbers; data has '1'"),
    (body(x(data=[1, True])), "takes numbers; data has True"),
    (body(x(data=[1, None])), "takes numbers; data has None"),
    (body(x(data=[1, [2]])), "takes numbers; data has [2]"),
    (body(x(data=[[1], 2])), "shape [1, 2] has 1 rows, data has 2"),
    (body(x(data=[[1, 2, 3]])), "row 0 has 3 values, and shape [1, 2] takes 2"),
    (body(x(data=[[[1, 2]]])), "row 0 has 1 value, and shape [1, 2] takes 2"),
    (body(x(shape=[2, 2], data=[[1, 2], [3]])), "row 1 has 1 value, and shape [2, 2] takes 2"),
    (body(x(shape=[2, 2], data=[[1, 2], 3])), "row 1 has 3 as its values, and shape [2, 2] takes 2"),
    (body(x(data=[1, 1e39])), "a number beyond the range of FP32"),
    (body(n={**N, "data": [300]}), "a number beyond the range of UINT8"),
    (body(n={**N, "data": [-1]}), "a number beyond the range of UINT8"),
    (body(n={**N, "data": [2**64]}), "takes whole numbers of at most 64 bits"),
    (body(n={**N, "data": [1.0]}), "input 'n' is UINT8 and takes whole numbers of at most 64 bits; data has 1.0"),
    (body(n={**N, "data": [True]}), "takes whole numbers of at most 64 bits; data has True"),
    (body(n={**N, "data": ["1"]}), "takes whole numbers"),
    (body(s={**S, "data": [1]}), "input 's' is BYTES and takes strings; data has 1"),
    (body(without(x(), "data")), "input 'x' must have either data or the parameter binary_data_size; it has neither"),
    (body(x(parameters={"binary_data_size": 8})), "it has both"),
    (body(x(parameters=[1])), "input 'x': parameters must be an object; got [1]"),
    (body(binary(8)), "binary_data_size is 8, but after the JSON 0 bytes are left"),
    (body(binary(-8)), "binary_data_size must be a number of bytes; got -8"),
    (body(binary("8")), "binary_data_size must be a number of bytes; got '8'"),
    (body(id=7), "id must be a string; got 7"),
    (body(parameters=7), "the request: parameters must be an object; got 7"),
    (body(parameters={"triton_x": 1}), "names that begin with triton_ are reserved"),
    (body(parameters={"timeout": -1}), "parameter timeout must be a whole number, 0 or more; got -1"),
    (body(parameters={"timeout": 2**70}), "parameter timeout must be a whole number"),
    (body(parameters={"priority": True}), "parameter priority must be a whole number"),
    (body(parameters={"seed": -1}), "parameter seed must be a whole number from 0 to 2**63 - 1; got -1"),
    (body(parameters={"seed": 2**63}), "parameter seed must be a whole number from 0 to 2**63 - 1; got 92233"),
    (body(parameters={"seed": 1.0}), "parameter seed must be a whole number from 0 to 2**63 - 1; got 1.0"),
    (body(parameters={"seed": True}), "parameter seed must be a whole number from 0 to 2**63 - 1; got True"),
    (body(parameters={"seed": "1"}), "parameter seed must be a whole number from 0 to 2**63 - 1; got '1'"),
    (body(parameters={"binary_data_output": 1}), "parameter binary_data_output must be true or false; got 1"),
    (body(outputs={}), "outputs must be a list of objects with a name; got {}"),
    (body(outputs=["y"]), "outputs must hold objects with the name of an output; got 'y'"),
    (body(outputs=[{"name": 3}]), "outputs must hold objects with the name of an output"),
    (body(outputs=[{"name": "z"}]), "there is no output 'z': this model gives 'y', 'h'"),
    (body(outputs=[Y, Y]), "output 'y' is asked twice"),
    (body(outputs=[{"name": "y", "parameters": 1}]), "output 'y': parameters must be an object"),
    (body(outputs=[{"name": "y", "parameters": {"binary_data": "yes"}}]), "parameter binary_data must be true or fals"),
    (body(outputs=[{"name": "y", "parameters": {"classification": -1}}]), "parameter classification must be a whole"),
    (body(outputs=None), "output 'h' is FP16, which has no JSON form"),
]


@pytest.mark.parametrize("sent, sentence", BAD_BODIES)
def test_a_bad_body_is_told_what_is_wrong(sent: bytes | dict[str, Any], sentence: str) -> None:
    model = three_kinds()
    answer = ask(model, "/infer", sent)
    assert answer.status == 400, answer.body
    assert sentence in answer.json["error"]
    assert len(answer.json["error"]) < 500
    assert model.failures == ["bad_request"]
    assert model.seen == []


BAD_BLOBS: list[tuple[dict[str, Any], bytes, str]] = [
    (body(binary(8)), b"1234567", "binary_data_size is 8, but after the JSON 7 bytes are left"),
    (body(binary(8)), b"123456789", "1 bytes are left over after the last binary tensor"),
    (body(), b"1", "1 bytes are left over after the last binary tensor"),
    (body(binary(7)), b"1234567", "FP32 of shape [1, 2] takes 8 bytes, binary_data_size is 7"),
    (body(binary(8, x(shape=[10**12, 2]))), b"12345678", "takes 8000000000000 bytes, binary_data_size is 8"),
    (body(s=binary(3, S)), b"\0\0\0", "1 BYTES elements take at least 4 bytes, there are 3"),
    (body(s=binary(5, S)), b"\2\0\0\0a", "BYTES element 0 ends at byte 6, the data at 5"),
    (body(s=binary(5, S)), b"\xff\xff\xff\xffa", "BYTES element 0 ends at byte"),
    (body(s=binary(6, S)), b"\1\0\0\0ab", "1 bytes are left over after 1 BYTES elements"),
    (body(s=binary(8, {**S, "shape": [10**11]})), b"\0" * 8, "take at least 400000000000 bytes, there are 8"),
]


@pytest.mark.parametrize("sent, blob, sentence", BAD_BLOBS)
def test_bytes_that_disagree_with_the_json_are_refused(sent: dict[str, Any], blob: bytes, sentence: str) -> None:
    answer = infer(three_kinds(), sent, blob)
    assert answer.status == 400, answer.body
    assert sentence in answer.json["error"]


@pytest.mark.parametrize(
    "length, sentence",
    [
        ("ten", "must be a number of bytes; got 'ten'"),
        ("-1", "must be a number of bytes; got '-1'"),
        ("1.5", "must be a number of bytes"),
        ("9" * 400, "must be a number of bytes"),
        ("", "must be a number of bytes; got ''"),
        ("100000", "is 100000, beyond the"),
        ("5", "not valid JSON"),
    ],
)
def test_a_header_length_that_cannot_be_is_refused(length: str, sentence: str) -> None:
    answer = ask(three_kinds(), "/infer", body(), headers={"Inference-Header-Content-Length": length})
    assert answer.status == 400
    assert sentence in answer.json["error"]


BINARY_HINT = "Inference-Header-Content-Length"
NOT_JSON: list[tuple[bytes, str, bool]] = [
    (
        b'{"inputs": [NaN]}',
        "from character 12 on: JSON has no NaN and no infinity: send the tensor as binary data",
        False,
    ),
    (b'{"inputs": [-Infinity]}', "from character 12 on: JSON has no NaN and no infinity", False),
    (b'{"inputs": [1e400]}', "the number at character 12 is beyond the range of FP64", False),
    (b'{"inputs": [' + b"1" * 100_000 + b"]}", "the number at character 12 is beyond the range of FP64", False),
    (b'{"inputs": [-1e400]}', "the number at character 12 is beyond the range of FP64", False),
    ('{"inputs": []}'.encode("utf-16"), "it is UTF-16 or UTF-32, and JSON is sent in UTF-8", False),
    ('{"inputs": []}'.encode("utf-16-be"), "it is UTF-16 or UTF-32", False),
    ('{"inputs": []}'.encode("utf-32-le"), "it is UTF-16 or UTF-32", False),
    (b'{"inputs": [1, 2', "it ends too early, after 16 characters: send the whole of it", False),
    (b'{"inputs": "\xff"}', "byte 12 is not UTF-8", False),
    (b'{"inputs": []}\0\0\x80?', "4 bytes follow it; with binary tensors, say where it ends", True),
    (b'{"inputs": []}\xff\xfe', "2 bytes follow it; with binary tensors, say where it ends", True),
    (b'{"inputs": []}aa\xff', "3 bytes follow it; with binary tensors, say where it ends", True),
    (b'{"inputs": nanny}', "from character 11 on", False),
    (b'{"inputs": -}', "from character", False),
]


@pytest.mark.parametrize("sent, sentence, hint", NOT_JSON)
def test_each_way_not_to_be_json_has_a_sentence_of_its_own(sent: bytes, sentence: str, hint: bool) -> None:
    says = ask(three_kinds(), "/infer", sent).json["error"]
    assert says.startswith("the request is not valid JSON")
    assert sentence in says
    assert (BINARY_HINT in says) is hint


def test_json_that_was_announced_is_told_by_its_length() -> None:
    says = ask(three_kinds(), "/infer", body(), headers={BINARY_HINT: "5"}).json["error"]
    assert "by Inference-Header-Content-Length its first 5 bytes, is not valid JSON: it ends too early" in says


@pytest.mark.parametrize("path, sent", [("/infer", body()), ("/predict", {"instances": []})])
def test_a_byte_order_mark_is_ignored(path: str, sent: Any) -> None:
    plain, marked = (ask(three_kinds(), path, before + orjson.dumps(sent)) for before in (b"", b"\xef\xbb\xbf"))
    assert (marked.status, marked.body) == (plain.status, plain.body)
    assert "valid JSON" not in marked.json.get("error", "")


def test_half_precision_is_not_taken_as_json() -> None:
    given = {"name": "INPUT0", "datatype": "FP16", "shape": [1], "data": [1.0]}
    answer = infer(identity("FP16"), {"parameters": {"binary_data_output": True}, "inputs": [given]})
    assert answer.status == 400
    assert "FP16 has no JSON form; send it with binary_data_size" in answer.json["error"]


def test_one_long_string_among_many_short_ones_makes_no_matrix_of_the_longest() -> None:
    sent = body(x(shape=[50_000, 2], data=["a"] * 99_999 + ["b" * 5_000_000]))
    assert ask(three_kinds(), "/infer", sent).status == 400
