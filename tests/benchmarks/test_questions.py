"""An answer is right only if it is this request's, of one known version, in whichever form it came."""

import json

import numpy as np
import pytest

from benchmarks.reliability.model import expected
from benchmarks.reliability.questions import Form, Questions
from deployments.stubs.open_inference_pb2 import ModelInferResponse
from pitstop.load.sender_http import Address
from pitstop.load.target import Target

TARGET = Target("http://127.0.0.1:8000/v2/models/line", "line", "", Address("127.0.0.1", 8000), ())
FORMS: tuple[Form, ...] = ("json", "binary", "grpc", "plain")


def answer(form: Form, y: list[float], version: list[float]) -> bytes:
    blobs = [np.array(each, np.float32).tobytes() for each in (y, version)]
    if form == "plain":
        return json.dumps({"y": y[0], "version": version[0]}).encode()
    if form == "json":
        return json.dumps({"outputs": [{"name": "y", "data": y}, {"name": "version", "data": version}]}).encode()
    if form == "binary":
        return b'{"outputs": []}' + b"".join(blobs)
    return bytes(ModelInferResponse(raw_output_contents=blobs).SerializeToString())


def asked(questions: Questions, number: int) -> list[float]:
    return questions._asked(number)


@pytest.mark.parametrize("form", FORMS)
def test_the_right_answer_is_right_and_a_neighbours_is_wrong(form: Form) -> None:
    questions = Questions(TARGET, form, versions=(1, 2), rows=1 if form == "plain" else 3)
    for version in (1, 2):
        y = [expected(version, x) for x in asked(questions, 7)]
        good = answer(form, y, [float(version)] * questions.rows)
        assert questions.right(7, good)
        assert not questions.right(8, good)
    assert questions.seen == {1: 1, 2: 1}
    assert len(questions.wrong) == 2


@pytest.mark.parametrize("form", FORMS)
def test_half_loaded_weights_and_unknown_versions_give_themselves_away(form: Form) -> None:
    questions = Questions(TARGET, form, versions=(1, 2))
    [x] = asked(questions, 3)
    assert not questions.right(3, answer(form, [(2 + 1) * x + 1], [2.0]))
    assert not questions.right(3, answer(form, [expected(3, x)], [3.0]))


@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_read_is_wrong(form: Form) -> None:
    assert not Questions(TARGET, form).right(0, b"gone")


def test_requests_differ_and_a_float32_holds_every_answer() -> None:
    questions = Questions(TARGET, "json")
    assert len({questions[number] for number in range(1000)}) == 1000
    for number in range(0, 200_000, 997):
        [x] = asked(questions, number)
        assert float(np.float32(expected(9, x))) == expected(9, x)
