"""What `pitstop load` sends: drawn to fit the metadata, or brought by the user."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.stubs import open_inference_pb2 as pb
from pitstop.load.bodies import http_body, requests, source, wire
from pitstop.load.errors import LoadError
from pitstop.load.main import parameters
from pitstop.load.sender_http import Address
from pitstop.load.target import Target

IMAGE = {"name": "image", "datatype": "UINT8", "shape": [-1, 1, 2, 2]}
TEXT = {"name": "text", "datatype": "BYTES", "shape": [-1]}
TOKENS = {"name": "ids", "datatype": "INT64", "shape": [-1, -1]}


def target(*inputs: dict[str, Any]) -> Target:
    return Target("http://h:8000/v2/models/m", "m", "", Address("h", 8000), inputs)


def test_inputs_fit_the_metadata() -> None:
    image, text, ids = requests(target(IMAGE, TEXT, TOKENS), None, rows=3, length=5)[0]
    assert (image.shape, image.values.dtype) == ((3, 1, 2, 2), np.uint8)
    assert text.shape == (3,)
    assert ids.shape == (3, 5)
    assert 0 <= ids.values.min() <= ids.values.max() < 100


@pytest.mark.parametrize("length, sizes", [(None, (16, 8)), (5, (5, 3))])
def test_sizes_with_a_name_are_those_asked_for_or_the_middle_ones_of_the_metadata(
    length: int | None, sizes: tuple[int, int]
) -> None:
    halves = {**TOKENS, "name": "halves"}
    shapes = {"ids": ["batch", "tokens"], "halves": [-1, "tokens/2"], "y": ["batch", "tokens"]}
    named = {"dims": {"tokens": {"sizes": [8, 16, 64], "pad": 0}}, "shapes": shapes}
    known = replace(target(TOKENS, halves, IMAGE), properties=named)
    ids, half, image = requests(known, None, rows=3, length=length)[0]
    assert (ids.shape[1], half.shape[1], image.shape) == (*sizes, (3, 1, 2, 2))


RANGES: list[tuple[str, dict[str, Any], int, int]] = [
    ("INT64", {"low": 1, "high": 3}, 1, 3),
    ("INT64", {"low": 150, "high": None}, 150, 150),
    ("INT32", {"low": -4, "high": -2}, -4, -2),
    ("UINT8", {"low": 1, "high": "tokens"}, 1, 16),
    ("UINT64", {"low": 2**64 - 2, "high": 2**64 - 1}, 2**64 - 2, 2**64 - 1),
]


@pytest.mark.parametrize("datatype, bounds, low, high", RANGES)
def test_whole_numbers_are_within_the_bounds_of_the_metadata(
    datatype: str, bounds: dict[str, Any], low: int, high: int
) -> None:
    properties = {"dims": {"tokens": {"sizes": [8, 16, 64]}}, "shapes": {}, "ranges": {"ids": bounds}}
    known = replace(target({**TOKENS, "datatype": datatype}), properties=properties)
    drawn = [request[0].values for request in requests(known, None, rows=3, length=None)]
    assert (min(int(each.min()) for each in drawn), max(int(each.max()) for each in drawn)) == (low, high)


def test_one_length_for_several_dimensions_with_names_is_refused() -> None:
    dims = {name: {"sizes": [8]} for name in ("height", "width")}
    named = {"dims": dims, "shapes": {"ids": ["height", "width"]}}
    with pytest.raises(LoadError, match="--length 5: the model has several open dimensions: height, width\nhelp: "):
        requests(replace(target(TOKENS), properties=named), None, rows=3, length=5)


def test_an_example_in_the_metadata_is_sent_in_as_many_rows_as_are_asked_for() -> None:
    texts = {"inputs": [{**TEXT, "shape": [1], "data": ["a text"]}]}
    known = replace(target(TEXT), properties={"example": texts})
    [[text]] = requests(known, None, rows=3, length=None)
    assert text.values.tolist() == [b"a text"] * 3
    assert (source(known), source(target(TEXT))) == ("the metadata's example", "drawn from the metadata")


def test_a_length_takes_the_place_of_the_example() -> None:
    given = {"inputs": [{**TOKENS, "shape": [1, 2], "data": [7, 8]}]}
    known = replace(target(TOKENS), properties={"example": given})
    assert requests(known, None, rows=3, length=5)[0][0].shape == (3, 5)
    assert source(known, 5) == "drawn from the metadata"


def test_two_runs_send_the_same_and_two_requests_differ() -> None:
    first, second = (requests(target(IMAGE, TEXT), None, rows=1, length=5) for _ in range(2))
    assert [wire(target(), each, "json") for each in first] == [wire(target(), each, "json") for each in second]
    assert len({wire(target(), each, "json") for each in first}) == len(first)


def test_a_json_body_holds_the_values_flat() -> None:
    request = requests(target(IMAGE), None, rows=1, length=1)[0]
    _, body = http_body(request, "json")
    (sent,) = json.loads(body)["inputs"]
    assert sent == {**IMAGE, "shape": [1, 1, 2, 2], "data": request[0].values.ravel().tolist()}


def test_a_binary_body_is_json_and_then_bytes() -> None:
    request = requests(target(IMAGE, TEXT), None, rows=2, length=1)[0]
    headers, body = http_body(request, "binary")
    length = int(headers["Inference-Header-Content-Length"])
    sizes = [each["parameters"]["binary_data_size"] for each in json.loads(body[:length])["inputs"]]
    assert sizes == [8, sum(4 + len(each) for each in request[1].values)]
    assert body[length : length + 8] == request[0].values.tobytes()
    assert len(body) == length + sum(sizes)


def test_a_message_says_its_length_and_where_it_goes() -> None:
    head, _, body = wire(target(IMAGE), requests(target(IMAGE), None, 1, 1)[0], "json").partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/models/m/infer HTTP/1.1\r\nhost: h:8000\r\n")
    assert b"content-length: %d\r\n" % len(body) in head + b"\r\n"


def test_json_requests_are_read_from_a_file_as_one_as_a_list_and_as_lines(tmp_path: Path) -> None:
    request = {"inputs": [{**IMAGE, "shape": [1, 1, 2, 2], "data": [[[[1, 2], [3, 4]]]]}]}
    for name, text, count in [
        ("one.json", json.dumps(request), 1),
        ("list.json", json.dumps([request, request]), 2),
        ("lines.jsonl", json.dumps(request) + "\n\n" + json.dumps(request) + "\n", 2),
    ]:
        (tmp_path / name).write_text(text)
        found = requests(target(IMAGE), tmp_path / name, rows=1, length=1)
        assert [each[0].values.ravel().tolist() for each in found] == [[1, 2, 3, 4]] * count


def test_arrays_are_cut_into_requests_of_so_many_rows(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.arange(20, dtype=np.uint8).reshape(5, 1, 2, 2))
    found = requests(target(IMAGE), tmp_path / "a.npz", rows=2, length=1)
    assert [each[0].values[0, 0, 0, 0] for each in found] == [0, 8]


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("missing.json", None, "cannot be read"),
        ("bad.json", b"{", "is not JSON"),
        ("empty.json", b"[]", "holds no request"),
        ("other.json", b'{"x": 1}', "request 0 has no inputs"),
        ("binary.json", b"\xff\xfe\x00", "neither JSON nor .npz"),
        ("short.json", b'{"inputs": [{"name": "image", "datatype": "UINT8", "shape": [4], "data": [1]}]}', "not UINT8"),
        ("wrong.npz", b"PK", "is not an array file"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_a_way_out(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LoadError, match=said) as caught:
        requests(target(IMAGE), tmp_path / name, rows=1, length=1)
    assert "\nhelp: " in str(caught.value)


def test_fp16_has_no_json_form_and_the_error_names_the_way_out() -> None:
    half = {"name": "h", "datatype": "FP16", "shape": [-1, 2]}
    with pytest.raises(LoadError, match="--format binary"):
        wire(target(half), requests(target(half), None, 1, 1)[0], "json")


def test_parameters_of_the_user_go_with_every_request_in_every_format() -> None:
    given = parameters(
        ["seed=7", "unit=km", "scale=1.5", "fast=true", "text=07", "long=99999999999999999999", "n=null"]
    )
    assert given == {
        "seed": 7,
        "unit": "km",
        "scale": 1.5,
        "fast": True,
        "text": "07",
        "long": "99999999999999999999",
        "n": "null",
    }
    request = requests(target(IMAGE), None, rows=1, length=1)[0]
    assert json.loads(http_body(request, "json", given)[1])["parameters"] == given
    headers, body = http_body(request, "binary", given)
    head = json.loads(body[: int(headers["Inference-Header-Content-Length"])])
    assert head["parameters"] == {"binary_data_output": True, **given}
    sent = pb.ModelInferRequest.FromString(wire(target(IMAGE), request, "grpc", given))
    kinds = {name: value.WhichOneof("parameter_choice") for name, value in sent.parameters.items()}
    assert {name: getattr(value, kinds[name]) for name, value in sent.parameters.items()} == given
    assert (kinds["seed"], kinds["fast"]) == ("int64_param", "bool_param")


@pytest.mark.parametrize("given", ["seed", "=7", ""])
def test_a_parameter_without_a_name_or_a_value_is_refused(given: str) -> None:
    with pytest.raises(LoadError, match="NAME=VALUE"):
        parameters([given])
