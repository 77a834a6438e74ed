"""What /predict takes and answers beyond pictures and JSON: text, bytes, forms, and an encode hook's own bytes."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest

from configs.named_size import axis_named
from deployments.predict.answers import written
from deployments.predict.predict import Predictor
from models.signature import Array, Tensor
from tests.deployments.fake_service import Answer, FakeService, ask, identity, signature
from tests.deployments.predict.test_predict import drawn, pictures, two_inputs

MARK = "xyz"
FORM = f"multipart/form-data; boundary={MARK}"


def form(*parts: tuple[str, str, bytes], end: bytes = b"--\r\n") -> bytes:
    """Write a form as curl does: a name, a filename or "", and the content of each part."""
    written = b""
    for name, filename, content in parts:
        file = f'; filename="{filename}"\r\nContent-Type: application/octet-stream' if filename else ""
        head = f'--{MARK}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        written += head.encode() + content + b"\r\n"
    return written + f"--{MARK}".encode() + end


def sent(service: FakeService, body: bytes, content_type: str = "") -> Answer:
    return ask(service, "/predict", body, headers={"Content-Type": content_type} if content_type else {})


def texts() -> FakeService:
    service = identity("BYTES")
    service.act = lambda rows: {"OUTPUT0": np.array([b"got " + each for each in rows["INPUT0"]], object)}
    return service


@pytest.mark.parametrize(
    "body, content_type, row",
    [
        (b"a text\n", "text/plain", b"a text\n"),
        ("größer".encode(), "text/plain; charset=utf-8", "größer".encode()),
        (b"[1, 2", "text/plain", b"[1, 2"),
        (b"{not JSON", "text/plain", b"{not JSON"),
        (b'{"a": 1}', "text/plain", b'{"a": 1}'),
        (b"a text", "", b"a text"),
        (b"a text", "application/x-www-form-urlencoded", b"a text"),
        (b"RIFF", "audio/wav", b"RIFF"),
        (b"{", "application/octet-stream", b"{"),
        (b"[", "audio/wav", b"["),
        (b"{", "image/png", b"{"),
        (b"%PDF", "application/pdf", b"%PDF"),
    ],
)
def test_a_model_of_one_bytes_input_takes_a_body_as_its_row(body: bytes, content_type: str, row: bytes) -> None:
    service = texts()
    answer = sent(service, body, content_type)
    assert (answer.status, answer.json) == (200, {"OUTPUT0": f"got {row.decode()}"})
    [seen] = service.seen
    assert (seen.rows, seen.inputs["INPUT0"].tolist()) == (1, [row])


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain;charset=UTF-8"])
def test_instances_stay_instances_as_browsers_send_them(content_type: str) -> None:
    for bom in (b"", b"\xef\xbb\xbf"):
        answer = sent(texts(), bom + b'{"parameters": {}, "instances": ["a", "b"]}', content_type)
        assert answer.json == {"predictions": [{"OUTPUT0": "got a"}, {"OUTPUT0": "got b"}]}


@pytest.mark.parametrize("content_type", ["", "text/plain"])
def test_nothing_is_no_row(content_type: str) -> None:
    answer = sent(texts(), b"", content_type)
    assert answer.status == 400
    assert "the body is empty" in answer.json["error"]


def test_an_element_deeper_in_its_row_is_taken_and_several_are_not() -> None:
    assert sent(identity("BYTES", 1), b"a", "text/plain").json == {"OUTPUT0": ["a"]}
    answer = sent(identity("BYTES", 2), b"a", "text/plain")
    assert (answer.status, "the body is a file or a text" in answer.json["error"]) == (400, True)


def test_one_file_of_a_form_is_answered_as_the_file_alone() -> None:
    picture = drawn((64, 32))
    assert sent(pictures(), form(("file", "a.png", picture)), FORM).json == sent(pictures(), picture).json


def test_several_files_are_as_many_rows_with_every_byte_of_each() -> None:
    contents = [b"\r\n--xy", b"", bytes(range(256)) * 300, b"--\r\n\r\n"]
    service = texts()
    service.act = lambda rows: {"OUTPUT0": np.array([b"%d" % len(each) for each in rows["INPUT0"]], object)}
    answer = sent(service, form(*[("file", "a", each) for each in contents]), 'Multipart/Form-Data; Boundary="xyz"')
    assert answer.json == {"predictions": [{"OUTPUT0": str(len(each))} for each in contents]}
    assert service.seen[0].inputs["INPUT0"].tolist() == contents


def test_the_fields_of_a_form_are_parameters() -> None:
    service = texts()
    body = b"preamble\r\n" + form(("unit", "", "größe".encode()), ("file", "a", b"x"))
    assert sent(service, body, FORM).json == {"OUTPUT0": "got x"}
    assert service.seen[0].parameters == {"unit": "größe"}


@pytest.mark.parametrize(
    "body, content_type, sentence",
    [
        (form(("file", "a", b"x"), end=b""), FORM, "and it ends too early"),
        (form(("file", "a", b"x")).replace(b"\r\n", b"\n"), FORM, "and it ends too early"),
        (b"", FORM, "and it ends too early"),
        (form(("file", "a", b"x")), "multipart/form-data", "without the boundary in its Content-Type"),
        (form(), FORM, "without a file in it"),
        (form(("unit", "", b"km")), FORM, "without a file in it"),
        (b"--xyz\r\nno headers\r\n--xyz--\r\n", FORM, "and a part of it has no headers"),
        (b"--xyzzy\r\n\r\nx\r\n--xyz--\r\n", FORM, "and a part of it has no headers"),
        (
            b'--xyz\r\ncontent-disposition: form-data; name="' + b"a" * 20_000 + b'"\r\n\r\nx\r\n--xyz--\r\n',
            FORM,
            "and the headers of a part are longer than 16 KiB",
        ),
    ],
)
def test_a_broken_form_is_told_what_is_wrong_and_what_works(body: bytes, content_type: str, sentence: str) -> None:
    answer = sent(texts(), body, content_type)
    assert answer.status == 400
    assert answer.json["error"].startswith("the body is a multipart form, as curl -F sends it")
    assert f"{sentence}; this model takes a text or a file" in answer.json["error"]


def test_more_files_than_are_read_are_refused() -> None:
    for count, status in ((64, 200), (65, 400)):
        assert sent(texts(), form(*[("file", "a", b"x")] * count), FORM).status == status
    for count, status in ((255, 200), (256, 400)):
        answer = sent(texts(), form(("file", "a", b"x"), *[("unit", "", b"km")] * count), FORM)
        assert (answer.status, b"more than 256 parts" in answer.body) == (status, status == 400)


def test_files_of_open_sizes_are_together_no_larger_than_one_picture_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.predict.predict.MOST_NUMBERS", 100)
    decoded: list[bytes] = []

    def decode(body: bytes) -> Array:
        decoded.append(body)
        return np.zeros(int(body), np.uint8)

    def status(service: FakeService, *sizes: bytes) -> tuple[int, int]:
        decoded.clear()
        answer = sent(hooked(service, decode), form(*[("file", "a", each) for each in sizes]), FORM)
        if answer.status == 400:
            assert "send fewer at once" in answer.json["error"]
        return answer.status, len(decoded)

    assert status(identity("UINT8", -1), b"101") == (200, 1)
    assert status(identity("UINT8", -1), b"50", b"50") == (200, 2)
    assert status(identity("UINT8", -1), *[b"51"] * 9) == (400, 2)
    assert status(identity("UINT8", 51), *[b"51"] * 9) == (200, 9)


def test_files_that_do_not_make_rows_are_refused() -> None:
    answer = sent(identity("FP32", 2), form(("file", "a", b"x")), FORM)
    assert (answer.status, "the body is a file or a text" in answer.json["error"]) == (400, True)
    answer = sent(pictures(), form(("a", "a.png", drawn((4, 4))), ("b", "b.png", b"no picture")), FORM)
    assert (answer.status, "not a readable image" in answer.json["error"]) == (400, True)
    service = hooked(identity("UINT8", -1), lambda body: np.zeros(len(body), np.uint8))
    answer = sent(service, form(("a", "a", b"1"), ("b", "b", b"12")), FORM)
    assert (answer.status, "rows of different sizes" in answer.json["error"]) == (400, True)


def hooked(service: FakeService, decode: Any = None, encode: Any = None) -> FakeService:
    service.predict = Predictor(service.signature, decode, encode)
    return service


def test_a_decode_hook_with_a_content_type_reads_json_of_any_form() -> None:
    seen: list[str] = []

    def decode(body: bytes, content_type: str) -> Any:
        seen.append(content_type)
        return np.array(orjson.loads(body)["point"], np.float32)

    service = hooked(identity("FP32", 2), decode)
    for body in (b'{"point": [1, 2]}', b'{"instances": 0, "point": [1, 2]}'):
        assert sent(service, body, "application/json").json == {"OUTPUT0": [1, 2]}
    files = form(("a", "a.json", b'{"point": [3, 4]}'), ("b", "b.json", b'{"point": [5, 6]}'))
    assert sent(service, files, FORM).json == {"predictions": [{"OUTPUT0": [3, 4]}, {"OUTPUT0": [5, 6]}]}
    assert seen == ["application/json"] * 2 + ["application/octet-stream"] * 2


def test_a_decode_hook_may_return_a_row_of_each_input_and_text() -> None:
    def decode(body: bytes, content_type: str) -> Any:
        assert content_type == ""
        return {"k": np.array([1, 2], np.int32), "text": body.decode()}

    assert sent(hooked(two_inputs(), decode), b"a").json == {"echo": "a", "sum": 3}


@pytest.mark.parametrize(
    "returned",
    [
        None,
        "text",
        {"text": b"a"},
        {"text": b"a", "k": np.zeros(2, np.int64)},
        {"text": 3, "k": np.zeros(2, np.int32)},
        {"text": b"a", "k": np.zeros(2, np.int32), "more": b""},
        np.zeros(2, np.int32),
    ],
)
def test_a_decode_hook_that_returns_something_else_is_at_fault(returned: Any) -> None:
    assert sent(hooked(two_inputs(), lambda _: returned), b"a").status == 500


def labelled() -> FakeService:
    declared = signature([Tensor("x", "FP32", (-1, 1))], [Tensor("png", "BYTES", (-1,))])
    return FakeService(declared, lambda rows: {"png": np.array([b"\x89PNG"] * len(rows["x"]), object)})


def as_png(row: Mapping[str, Array]) -> Any:
    return row["png"], "image/png"


def read_number(body: bytes) -> Array:
    return np.array([float(body)], np.float32)


def test_an_encode_hook_may_answer_one_row_with_bytes_of_its_own() -> None:
    answer = sent(hooked(labelled(), read_number, as_png), b"7")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "image/png", b"\x89PNG")


def test_rows_that_came_as_instances_cannot_be_answered_with_bytes() -> None:
    answer = ask(hooked(labelled(), read_number, as_png), "/predict", {"instances": [[1]]})
    assert answer.status == 400
    assert answer.json["error"].startswith("this model answers /predict with image/png, one row at a time")


def test_no_rows_are_answered_whatever_the_hook_makes_of_one() -> None:
    assert ask(hooked(labelled(), read_number, as_png), "/predict", {"instances": []}).json == {"predictions": []}


@pytest.mark.parametrize(
    "returned",
    [
        (b"x",),
        (b"x", "image/png", 3),
        ("x", "text/plain"),
        (b"x", b"image/png"),
        (b"x", "image"),
        (b"x", "image/png\r\nset-cookie: a=b"),
        (b"x", "image/päng"),
        b"x",
    ],
)
def test_an_answer_that_cannot_be_sent_is_the_hooks_fault(returned: Any, heard: pytest.LogCaptureFixture) -> None:
    assert sent(hooked(labelled(), read_number, lambda _: returned), b"7").status == 500
    assert len(heard.records) == 1


def test_parameters_beside_instances_are_the_requests() -> None:
    service = texts()
    ask(service, "/predict", {"instances": ["a"], "parameters": {"k": 3}})
    assert service.seen[0].parameters == {"k": 3}
    answer = ask(service, "/predict", {"instances": ["a"], "parameters": [3]})
    assert (answer.status, "parameters must be an object" in answer.json["error"]) == (400, True)


def test_each_row_of_an_answer_has_as_many_entries_as_it_counts() -> None:
    boxes = Tensor("boxes", "FP32", (-1, -1, 2), named=(axis_named(1, "count"),))
    declared = signature([Tensor("x", "FP32", (-1,))], [boxes, Tensor("count", "INT64", (-1,))])
    outputs: dict[str, Array] = {
        "boxes": np.arange(12, dtype=np.float32).reshape(2, 3, 2),
        "count": np.array([3, 1], np.int64),
    }
    expected = [
        {"boxes": [[0, 1], [2, 3], [4, 5]], "count": 3},
        {"boxes": [[6, 7]], "count": 1},
    ]
    plain = written(None, outputs, False, declared.outputs)
    assert orjson.loads(plain.body) == {"predictions": expected}

    def encode(row: Mapping[str, Array]) -> dict[str, Any]:
        return {"found": row["boxes"].tolist()}

    encoded = written(encode, outputs, False, declared.outputs)
    assert orjson.loads(encoded.body) == {"predictions": [{"found": each["boxes"]} for each in expected]}


def test_a_seed_is_the_requests_as_a_parameter_or_as_the_text_of_a_form() -> None:
    service = texts()
    ask(service, "/predict", {"instances": ["a"], "parameters": {"seed": 7}})
    sent(service, form(("seed", "", b"7"), ("f", "a", b"a")), FORM)
    ask(service, "/predict", {"instances": ["a"]})
    assert [each.seed for each in service.seen] == [7, 7, None]
    assert service.seen[1].parameters == {"seed": "7"}


@pytest.mark.parametrize("seed", [-1, 7.5, "x", "", str(2**63), "7" * 5000, "²", [7]])
def test_a_seed_that_is_none_is_refused(seed: Any) -> None:
    answers = [ask(texts(), "/predict", {"instances": ["a"], "parameters": {"seed": seed}})]
    if isinstance(seed, str):
        answers.append(sent(texts(), form(("seed", "", seed.encode()), ("f", "a", b"a")), FORM))
    for answer in answers:
        assert (answer.status, "parameter seed must be a whole number" in answer.json["error"]) == (400, True)


@pytest.mark.parametrize("slow", ["decode", "encode"])
def test_a_hook_of_predict_that_takes_long_leaves_the_event_loop(slow: str) -> None:
    threads: list[bool] = []

    def noted(hook: str) -> None:
        if hook == slow:
            threads.append(threading.current_thread().name.startswith(hook))
            threading.Event().wait(0.01)

    def decode(body: bytes) -> Any:
        noted("decode")
        return body

    def encode(row: Mapping[str, Any]) -> Any:
        noted("encode")
        return {"got": row["OUTPUT0"].decode()}

    service = hooked(texts(), decode, encode)
    assert [sent(service, b"a").json for _ in range(3)] == [{"got": "got a"}] * 3
    assert threads == [True] * 3


def test_a_decode_hook_that_hangs_is_timed_out() -> None:
    over = threading.Event()
    service = hooked(texts(), lambda body: over.wait(20) and body)
    service.tunables = service.tunables.model_copy(update={"request_timeout_s": 0.1})
    try:
        assert sent(service, b"a").status == 408
    finally:
        over.set()
