"""A ModelInferRequest as the body of an HTTP request: what the gRPC proxy sends on."""

import logging
from typing import Any

import numpy as np
import pytest

from deployments.core.errors import QueueFull
from deployments.stubs import open_inference_pb2 as pb
from models.signature import Array
from tests.deployments.fake_rpc import column, parameter, raw
from tests.deployments.fake_service import Answer, FakeService, ask, identity

GOOD = raw(column([1.5], np.float32), "FP32", id="7")


def post(service: FakeService, body: Any, **headers: str) -> Answer:
    message = body if isinstance(body, bytes) else body.SerializeToString()
    return ask(service, "/infer", message, headers={"Content-Type": "application/x-protobuf", **headers})


def test_it_is_answered_in_kind() -> None:
    answer = post(identity("FP32"), GOOD)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-protobuf")
    found = pb.ModelInferResponse.FromString(answer.body)
    assert (found.id, found.raw_output_contents[0]) == ("7", np.float32(1.5).tobytes())


@pytest.mark.parametrize(
    "content_type",
    ["application/x-protobuf; charset=utf-8", "application/x-protobuf;proto=x", "Application/X-Protobuf ; a=b"],
)
def test_a_media_type_is_compared_without_its_parameters_and_its_case(content_type: str) -> None:
    answer = ask(identity("FP32"), "/infer", GOOD.SerializeToString(), headers={"Content-Type": content_type})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-protobuf")


@pytest.mark.parametrize(
    "asked_us, left, limit_s",
    [(None, None, None), (None, "2000", 0.002), (1000, "2000", 0.001), (3000, "2000", 0.002), (None, "x", None)],
)
def test_the_caller_s_deadline_bounds_the_time_limit(asked_us: int | None, left: str | None, limit_s: Any) -> None:
    service = identity("FP32")
    parameters = {} if asked_us is None else {"timeout": parameter(asked_us)}
    headers = {} if left is None else {"pitstop-left-us": left}
    post(service, raw(column([1], np.float32), "FP32", parameters=parameters), **headers)
    assert service.seen[0].timeout_s == limit_s


@pytest.mark.parametrize(
    "body, status, kind",
    [
        (b"\xff", 400, "bad_request"),
        (raw(column([1], np.float64), "FP64"), 400, "bad_request"),
        (raw(column([1], np.float32), "FP32", model_version="2"), 404, "not_found"),
    ],
)
def test_what_is_wrong_is_said_in_json_with_its_kind(body: Any, status: int, kind: str) -> None:
    answer = post(identity("FP32"), body)
    assert (answer.status, answer.headers["pitstop-error"]) == (status, kind)
    assert answer.json["error"]


@pytest.mark.parametrize("named, status", [("", 200), ("1", 200), ("2", 400)])
def test_a_message_that_names_another_version_than_its_path_is_refused(named: str, status: int) -> None:
    service = identity("FP32")
    service.versions = lambda: ("1", "2")  # type: ignore[method-assign]
    message = raw(column([1], np.float32), "FP32", model_version=named).SerializeToString()
    answer = ask(service, "/versions/1/infer", message, headers={"Content-Type": "application/x-protobuf"})
    assert answer.status == status, answer.body
    assert status == 200 or "the path names version '1'" in answer.json["error"]


@pytest.mark.parametrize("error, kind", [(QueueFull(1), "queue_full"), (RuntimeError("secret"), "internal")])
def test_every_error_names_its_kind(error: Exception, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("pitstop"), "disabled", True)
    service = identity("FP32")

    def act(_rows: dict[str, Array]) -> dict[str, Array]:
        raise error

    service.act = act
    answer = post(service, GOOD)
    assert answer.headers["pitstop-error"] == kind
    assert b"secret" not in answer.body
