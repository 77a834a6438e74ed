import asyncio
import base64
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.predict.predict import Predictor
from models.signature import Array, Tensor
from models.zoo.digits_image import answer as digits_answer
from models.zoo.digits_image import read_image
from tests.deployments.fake_service import FakeService, ask, identity, signature

SEVEN = Path(__file__).resolve().parents[3] / "examples" / "seven.png"


def drawn(size: tuple[int, int], form: str = "PNG", mode: str = "RGB", **save: Any) -> bytes:
    """Left half black, right half white."""
    image = Image.new(mode, size)
    image.paste(Image.new(mode, size, "white" if mode != "I;16" else 65535), (size[0] // 2, 0))
    file = io.BytesIO()
    image.save(file, form, **save)
    return file.getvalue()


def pictures(channels: int = 3, size: int = 4) -> FakeService:
    """Answers every picture with the mean of its columns."""
    declared = signature(
        [Tensor("image", "UINT8", (-1, channels, size, size))], [Tensor("columns", "FP32", (-1, size))]
    )
    return FakeService(declared, lambda rows: {"columns": rows["image"].mean((1, 2)).astype(np.float32)})


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_any_size_and_format_is_brought_to_the_input(form: str, channels: int) -> None:
    service = pictures(channels)
    answer = ask(service, "/predict", drawn((64, 32), form))
    assert answer.status == 200, answer.body
    assert answer.json["columns"] == pytest.approx([0, 0, 255, 255], abs=40)
    array = service.seen[0].inputs["image"]
    assert (array.shape, array.dtype) == ((1, channels, 4, 4), np.dtype(np.uint8))


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), 0x8000, np.uint16)).save(file, "PNG")
    assert ask(pictures(1), "/predict", file.getvalue()).json == {"columns": [128, 128, 128, 128]}


def test_a_photograph_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    upside_down = drawn((64, 64), "JPEG", exif=exif)
    assert ask(pictures(), "/predict", upside_down).json["columns"] == pytest.approx([255, 255, 0, 0], abs=40)


def test_a_heavy_picture_is_decoded_too() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    assert len(file.getvalue()) > 64 * 1024
    assert ask(pictures(), "/predict", file.getvalue()).status == 200


def bomb() -> bytes:
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "body, content_type, sentence",
    [
        (b"no image at all", "", "15 bytes that begin with b'no image', is not a readable image"),
        (drawn((64, 64))[:-40], "image/png", "is not a readable image"),
        (b'{"instances": []}', "image/png", "is not a readable image"),
        (b"%PDF-1.7", "application/pdf", "send the whole of a PNG, JPEG, WEBP, BMP, GIF"),
        (bomb(), "image/png", "more than 40 megapixels"),
        (b"", "", "the body is empty"),
        (b"", "image/png", "the body is empty"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(body: bytes, content_type: str, sentence: str) -> None:
    answer = ask(pictures(), "/predict", body, headers={"Content-Type": content_type})
    assert answer.status == 400
    assert sentence in answer.json["error"]


FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xyz"


@pytest.mark.parametrize(
    "body, content_type, sentence",
    [
        (b"--xyz\r\ncontent-disposition: form-data\r\n\r\n" + drawn((4, 4)), MULTIPART, "a multipart form, as curl -F"),
        (b'{"instances": []}', MULTIPART, "a multipart form"),
        (drawn((64, 64)).translate(None, b"\r\n\0"), FORM, "curl -d drops line ends"),
        (b"@seven.png", FORM, "curl -d drops line ends"),
        (b"seven", "text/plain; charset=utf-8", "it was sent as text (text/plain)"),
        (b"data:image/png;base64," + base64.b64encode(drawn((4, 4))), "", "a data URL: decode the base64"),
        (b"data:image/png;base64," + base64.b64encode(drawn((4, 4))), "text/plain", "a data URL: decode the base64"),
        (base64.b64encode(drawn((4, 4))), "", "the body looks like base64: decode it"),
        (base64.b64encode(drawn((4, 4), "JPEG")), FORM, "the body looks like base64: decode it"),
    ],
)
def test_what_people_send_by_mistake_is_named_with_the_command_that_works(
    body: bytes, content_type: str, sentence: str
) -> None:
    for service in (pictures(), hooked(error="no picture")):
        says = ask(service, "/predict", body, headers={"Content-Type": content_type}).json["error"]
        assert sentence in says
        assert says.endswith("send the file's bytes alone, with curl --data-binary @FILE")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP"])
def test_a_picture_that_is_cut_off_is_told_so_and_not_that_curl_dropped_line_ends(form: str) -> None:
    body = drawn((64, 64), form)
    says = ask(pictures(), "/predict", body[: len(body) - 40], headers={"Content-Type": FORM}).json["error"]
    assert f"this {form} is cut off or damaged" in says
    assert "line ends" not in says
    says = ask(hooked(error="no picture"), "/predict", body, headers={"Content-Type": FORM}).json["error"]
    assert says == "no picture"


def test_a_picture_sent_as_a_form_or_text_is_read_all_the_same() -> None:
    for content_type in (FORM, "text/plain"):
        assert ask(pictures(), "/predict", drawn((4, 4)), headers={"Content-Type": content_type}).status == 200


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_instances_in_utf_16_are_named_for_what_they_are(encoding: str) -> None:
    says = ask(
        pictures(), "/predict", '{"instances": []}'.encode(encoding), headers={"Content-Type": "application/json"}
    )
    assert "the body is not valid JSON: it is UTF-16 or UTF-32" in says.json["error"]


def test_the_hooks_of_digits_read_and_answer() -> None:
    declared = signature(
        [Tensor("image", "UINT8", (-1, 1, 8, 8))],
        [Tensor("probabilities", "FP32", (-1, 10)), Tensor("label", "INT64", (-1,))],
    )

    def act(_rows: dict[str, Array]) -> dict[str, Array]:
        return {"probabilities": np.full((1, 10), 0.25, np.float32), "label": np.array([7])}

    service = FakeService(declared, act, read_image, digits_answer)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(service, "/predict", SEVEN.read_bytes(), headers=form).json == {"label": 7, "probability": 0.25}
    assert service.seen[0].inputs["image"].shape == (1, 1, 8, 8)


def hooked(row: Array | None = None, error: str = "") -> FakeService:
    def image(_body: bytes) -> Array:
        if row is None:
            raise ValueError(error)
        return row

    service = identity("UINT8", 2)
    service.predict = Predictor(service.signature, image, None)
    return service


def test_a_hook_may_leave_out_the_row_dimension() -> None:
    assert ask(hooked(np.array([1, 2], np.uint8)), "/predict", b"x").json == {"OUTPUT0": [1, 2]}


def test_the_value_error_of_an_image_hook_is_for_the_client() -> None:
    answer = ask(hooked(error="the image is blank"), "/predict", b"x")
    assert (answer.status, answer.json) == (400, {"error": "the image is blank"})


@pytest.mark.parametrize(
    "row", [np.zeros(3, np.uint8), np.zeros(2, np.float32), np.zeros((2, 2), np.uint8), np.zeros((1, 1, 2), np.uint8)]
)
def test_a_hook_whose_row_does_not_fit_is_our_fault_and_not_the_clients(row: Array) -> None:
    assert ask(hooked(row), "/predict", b"x").status == 500


def two_inputs() -> FakeService:
    declared = signature(
        [Tensor("text", "BYTES", (-1,)), Tensor("k", "INT32", (-1, 2))],
        [Tensor("echo", "BYTES", (-1,)), Tensor("sum", "FP32", (-1,))],
    )
    return FakeService(declared, lambda rows: {"echo": rows["text"], "sum": rows["k"].sum(1).astype(np.float32)})


@pytest.mark.parametrize(
    "service, instances, predictions",
    [
        (identity("FP32", 2), [[1, 2], [3, 4]], [{"OUTPUT0": [1, 2]}, {"OUTPUT0": [3, 4]}]),
        (identity("FP32", 2), [], []),
        (identity("FP32", 1, 2), [[[1, 2]]], [{"OUTPUT0": [[1, 2]]}]),
        (identity("FP32", -1), [[1, 2, 3]], [{"OUTPUT0": [1, 2, 3]}]),
        (identity("FP32", -1), [], []),
        (identity("INT64"), [1, 2], [{"OUTPUT0": 1}, {"OUTPUT0": 2}]),
        (identity("BYTES"), ["a", "é"], [{"OUTPUT0": "a"}, {"OUTPUT0": "é"}]),
        (identity("FP32", 2), [{"INPUT0": [1, 2]}], [{"OUTPUT0": [1, 2]}]),
        (two_inputs(), [{"text": "a", "k": [1, 2]}], [{"echo": "a", "sum": 3}]),
    ],
)
def test_every_instance_has_its_prediction(
    service: FakeService, instances: list[Any], predictions: list[dict[str, Any]]
) -> None:
    answer = ask(service, "/predict", {"instances": instances})
    assert (answer.status, answer.json) == (200, {"predictions": predictions})


@pytest.mark.parametrize(
    "service, body, sentence",
    [
        (identity("FP32", 2), b"{", "the body is not valid JSON: it ends too early"),
        (
            identity("FP32", 2),
            b"PNG?",
            "the body is a file or a text; this model takes JSON: curl -d '{\"instances\": [[0, 0]]}'",
        ),
        (identity("FP32", 2), [[1, 2]], "must be an object with a list of instances, got [[1, 2]]"),
        (identity("FP32", 2), {"instances": 3}, "must be an object with a list of instances"),
        (identity("FP32", 2), {"instances": [3]}, "must be a list nested as [2]; got 3"),
        (identity("FP32", 2), {"instances": [[1, 2], [3]]}, "row 1 has 1 value, and shape [2, 2] takes 2"),
        (identity("FP32", -1), {"instances": [[1, 2], [3]]}, "row 1 has 1 value, and shape [2, 2] takes 2"),
        (identity("FP32", 2), {"instances": [[1]]}, "input 'INPUT0': row 0 has 1 value, and shape [1, 2] takes 2"),
        (identity("FP32", 2), {"instances": [[1, 2], 3]}, "row 1 has 3 as its values, and shape [2, 2] takes 2"),
        (identity("FP32", 2, 2), {"instances": [[[1, 2]]]}, "row 0 has 1 list, and shape [1, 2, 2] takes 2"),
        (identity("FP32", 2, 2), {"instances": [[[1, 2]] * 2, [[1, 2], []]]}, "row 1 at [1] has 0 values, and shape"),
        (identity("FP32", -1, 2), {"instances": [[]]}, "has rows that are empty"),
        (identity("FP32", 2), {"instances": [["1", "2"]]}, "takes numbers; data has '1'"),
        (identity("BYTES"), {"instances": [1]}, "takes strings; data has 1"),
        (identity("FP32", 2), {"instances": [{"INPUT0": [1, 2]}, [3, 4]]}, "must be an object with exactly 'INPUT0'"),
        (identity("FP32", 2), {"instances": [{"x": [1, 2]}]}, "with exactly 'INPUT0'; got {'x': [1, 2]}"),
        (two_inputs(), {"instances": ["a"]}, "each instance must be an object with 'text', 'k'"),
        (two_inputs(), {"instances": [{"text": "a"}]}, "with exactly 'text', 'k'"),
    ],
)
def test_instances_that_do_not_fit_are_refused_in_words(service: FakeService, body: Any, sentence: str) -> None:
    answer = ask(service, "/predict", body)
    assert answer.status == 400, answer.body
    assert sentence in answer.json["error"]


def test_an_answer_hook_may_return_numpy_and_nan() -> None:
    def answer(row: Mapping[str, Array]) -> dict[str, object]:
        return {"first": row["OUTPUT0"][0], "none": math.nan}

    service = identity("FP32", 2)
    service.predict = Predictor(service.signature, None, answer)
    assert ask(service, "/predict", {"instances": [[1, 2]]}).json == {"predictions": [{"first": 1, "none": None}]}


@pytest.mark.parametrize("found", [None, [1], "text", {"y": object()}, {1: 2}, SystemExit(3), StopIteration()])
def test_an_answer_hook_that_misbehaves_fails_its_request_and_is_logged_once(
    found: object, heard: pytest.LogCaptureFixture
) -> None:
    def answer(_: Mapping[str, Array]) -> Any:
        if isinstance(found, BaseException):
            raise found
        return found

    service = identity("FP32", 2)
    service.predict = Predictor(service.signature, None, answer)
    failed = ask(service, "/predict", {"instances": [[1, 2]]}, headers={"x-request-id": "mine"})
    assert failed.status == 500
    assert failed.json["error"] == "the model failed on this input: the server log has it under request id mine"
    assert [each.getMessage() for each in heard.records] == ["fake: the model failed, request id mine"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyError("x"), asyncio.CancelledError(), StopIteration()])
def test_whatever_an_image_hook_raises_fails_its_request_alone(error: BaseException) -> None:
    def image(_body: bytes) -> Array:
        raise error

    service = identity("UINT8", 2)
    service.predict = Predictor(service.signature, image, None)
    for body in (b"x", b"x" * 100_000):  # On the event loop, and in a thread.
        answer = ask(service, "/predict", body)
        assert answer.status == 500
        assert "under request id" in answer.json["error"]


@pytest.mark.parametrize(
    "predictor, expected",
    [
        (pictures().predict, "image"),
        (hooked(np.zeros((1, 2))).predict, "file"),
        (identity("BYTES").predict, "bytes"),
        (identity("FP32", 2).predict, "json"),
        (two_inputs().predict, "json"),
    ],
)
def test_it_tells_what_a_body_may_be_so_that_a_form_can_be_made_for_it(predictor: Predictor, expected: str) -> None:
    assert predictor.takes == expected
