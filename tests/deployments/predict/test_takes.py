"""Whatever is sent to the wrong place is refused in a sentence with what the model takes, and a command that works."""

import base64
import json
import shlex
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from deployments.predict import body_kinds
from models.signature import Tensor
from tests.deployments.fake_service import Answer, FakeService, ask, identity, signature
from tests.deployments.predict.test_bodies_and_answers import FORM, form, texts
from tests.deployments.predict.test_predict import drawn, hooked, pictures, two_inputs

PNG = drawn((8, 8))
BASE64 = base64.b64encode(PNG).decode()
JSON, URLENCODED = "application/json", "application/x-www-form-urlencoded"
SEND = "send the file's bytes alone, with curl --data-binary @FILE"


def large() -> FakeService:
    return identity("FP32", 3, 224, 224)


def decoding() -> FakeService:
    return hooked(np.array([1, 2], np.uint8))


def numbers() -> FakeService:
    return identity("FP32", 2)


# By model: what it says that it takes.
MODELS: dict[Callable[[], FakeService], str] = {
    pictures: f"; this model takes a picture: {SEND}",
    decoding: f"; this model takes a file: {SEND}",
    texts: "; this model takes a text or a file as the body: "
    "curl -H 'Content-Type: text/plain' -d 'a text', or curl --data-binary @FILE",
    numbers: "; this model takes JSON: curl -d '{\"instances\": [[0, 0]]}'",
    two_inputs: '; this model takes JSON: curl -d \'{"instances": [{"text": "a text", "k": [0, 0]}]}\'',
    large: "; this model takes JSON: curl -d '{\"instances\": [[]]}', "
    "with 'INPUT0' nested as [3, 224, 224] in place of []",
}


def sent(service: FakeService, body: bytes, content_type: str, route: str = "/predict") -> Answer:
    return ask(service, route, body, headers={"Content-Type": content_type} if content_type else {})


def as_json(value: Any) -> bytes:
    return orjson.dumps(value)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "body, content_type, why",
    [
        (as_json({"instances": [{"b64": BASE64}]}), JSON, "base64 in JSON is not decoded"),
        (as_json({"instances": [{"image_bytes": {"b64": BASE64}}]}), JSON, "base64 in JSON is not decoded"),
        (as_json({"data": BASE64}), JSON, "base64 in JSON is not decoded"),
        (as_json({"body": f"data:image/png;base64,{BASE64}"}), JSON, "base64 in JSON is not decoded"),
        (as_json({"inputs": [{"name": "x", "data": [1]}]}), JSON, "tensors under inputs go to /infer"),
        (as_json("a text"), JSON, "must be an object with a list of instances, got 'a text'"),
        (b"3", JSON, "must be an object with a list of instances, got 3"),
        (as_json([[1, 2]]), URLENCODED, "must be an object with a list of instances, got [[1, 2]]"),
        (as_json({"instances": "a"}), JSON, "must be an object with a list of instances"),
        (b"{", JSON, "not valid JSON: it ends too early"),
        (b"", "", "the body is empty"),
        (b"", JSON, "the body is empty"),
        (b"", "image/png", "the body is empty"),
        (PNG, JSON, "it was sent as application/json"),
        (form(("text", "", b"hello")), FORM, "without a file in it"),
        (as_json({"instances": [{"of": "another model"}]}), JSON, "each instance must be an object with"),
    ],
)
def test_a_body_of_another_kind_is_refused_with_what_the_model_takes(
    body: bytes, content_type: str, why: str, model: Callable[[], FakeService]
) -> None:
    answer = sent(model(), body, content_type)
    says = answer.json["error"]
    assert (answer.status, why in says, says.endswith(MODELS[model])) == (400, True, True), says
    assert "\n" not in says


@pytest.mark.parametrize("body", [{"data": "x" * 5000, "b64": "x"}, {"data": f"data:{'a' * 101};base64,AA"}])
def test_base64_in_json_is_looked_for_in_the_first_bytes_alone(body: dict[str, str]) -> None:
    """The search holds the interpreter's lock, and a body may have many megabytes."""
    assert body_kinds.no_instances("it is none", as_json(body), JSON) == "it is none"


@pytest.mark.parametrize("model", [numbers, two_inputs, large])
@pytest.mark.parametrize(
    "body, content_type",
    [
        (PNG, URLENCODED),
        (PNG, "image/png"),
        (form(("file", "x.png", PNG)), FORM),
        (b"a text", URLENCODED),
        (b"a text", "text/plain"),
        (BASE64.encode(), "text/plain"),
    ],
)
def test_a_model_of_tensors_says_so_to_a_file_or_a_text(
    body: bytes, content_type: str, model: Callable[[], FakeService]
) -> None:
    answer = sent(model(), body, content_type)
    assert (answer.status, answer.json["error"]) == (400, f"the body is a file or a text{MODELS[model]}")


def quoted() -> FakeService:
    declared = signature(
        [Tensor(name, "FP32", (-1, 1)) for name in ("the car's", 'the "x"')], list(two_inputs().signature.outputs)
    )
    return FakeService(declared, lambda _: {"echo": np.array([b"x"], object), "sum": np.zeros(1, np.float32)})


@pytest.mark.parametrize(
    "model", [numbers, two_inputs, texts, quoted, lambda: identity("BOOL", 2), lambda: identity("BYTES", 2)]
)
def test_the_command_that_it_names_works(model: Callable[[], FakeService]) -> None:
    says = sent(model(), b"", "").json["error"]
    words = shlex.split(says.partition("curl ")[2].partition(", or ")[0])
    content_type = words[1].partition(": ")[2] if words[0] == "-H" else URLENCODED
    assert words[-2] == "-d"
    assert sent(model(), words[-1].encode(), content_type).status == 200


def test_tensors_that_json_cannot_hold_are_sent_to_infer() -> None:
    service = identity("FP16", 2)
    for body in (b"", b"a text", as_json({"instances": [[1, 2]]})):
        says = sent(service, body, "").json["error"]
        assert says.endswith("tensors that JSON cannot hold: send them to /infer, as binary data")
    assert (service.predict.takes, "Send them to /infer" in service.predict.reads) == ("nothing", True)


def test_a_command_that_is_too_long_for_an_error_leaves_its_data_out() -> None:
    inputs = [Tensor(f"the_measured_value_{number}", "FP32", (-1,)) for number in range(40)]
    says = sent(FakeService(signature(inputs, inputs), dict), b"", "").json["error"]
    assert says.endswith(
        '; this model takes JSON: curl -d @FILE, with {"instances": [...]} in it; its metadata names its inputs'
    )


@pytest.mark.parametrize("model", [numbers, pictures, large])
def test_numbers_that_json_does_not_have_go_to_infer_and_no_other_command_is_named(
    model: Callable[[], FakeService],
) -> None:
    says = sent(model(), b'{"instances": [[NaN, 1]]}', "").json["error"]
    assert says.endswith("JSON has no NaN and no infinity: send the tensor as binary data to /infer")


def test_base64_is_told_first() -> None:
    for model in (pictures, decoding):
        says = sent(model(), as_json({"instances": [{"b64": BASE64}]}), JSON).json["error"]
        assert says.startswith("base64 in JSON is not decoded; ")
    assert sent(pictures(), BASE64.encode(), "").json["error"].startswith("the body looks like base64: decode it; ")


def test_a_json_string_is_an_ordinary_text_to_a_model_of_texts_unless_it_is_sent_as_json() -> None:
    assert sent(texts(), b'"good film"', URLENCODED).json == {"OUTPUT0": 'got "good film"'}
    assert sent(texts(), b'"good film"', JSON).status == 400


def test_a_picture_model_names_the_command_for_what_is_no_picture() -> None:
    answer = sent(pictures(), b"no picture", "application/pdf")
    assert (answer.status, answer.json["error"].endswith(MODELS[pictures])) == (400, True)


def test_of_several_files_the_one_that_is_refused_is_named() -> None:
    files = form(("file", "a.png", PNG), ("file", "b.png", PNG[:40]))
    assert sent(pictures(), files, FORM).json["error"].startswith("file 2 of the form: the body, 40 bytes")
    assert "of the form" not in sent(pictures(), form(("file", "b.png", PNG[:40])), FORM).json["error"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "body, content_type",
    [
        (PNG, URLENCODED),
        (PNG, "image/png"),
        (form(("file", "x.png", PNG)), FORM),
        (b"a text", "text/plain"),
        (BASE64.encode(), "text/plain"),
        (as_json({"instances": [[1, 2]]}), JSON),
    ],
)
def test_infer_sends_files_texts_and_instances_to_predict(
    body: bytes, content_type: str, model: Callable[[], FakeService]
) -> None:
    answer = sent(model(), body, content_type, "/infer")
    says = answer.json["error"]
    assert (answer.status, says.endswith("; files, texts and instances go to /predict")) == (400, True), says


@pytest.mark.parametrize("body", [b"{", b'{"id": "7"}', b'{"inputs": []}', '{"inputs": []}'.encode("utf-16")])
def test_infer_does_not_speak_of_predict_to_its_own_clients(body: bytes) -> None:
    assert "/predict" not in sent(numbers(), body, JSON, "/infer").json["error"]


def test_the_metadata_says_how_a_picture_is_read() -> None:
    says = pictures().predict.reads
    assert "upright by its EXIF" in says
    assert "resized to width 4 and height 4 (bilinear" in says
    assert "no mean or std" in says
    open_sides = signature([Tensor("image", "UINT8", (-1, 1, -1, 8))], [Tensor("y", "FP32", (-1,))])
    says = FakeService(open_sides, lambda rows: {"y": rows["image"].mean((1, 2, 3))}).predict.reads
    assert "made gray" in says
    assert "resized to width 8 (" in says
    assert json.dumps(says)
