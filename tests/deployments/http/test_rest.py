import asyncio
import logging
from typing import Any

import orjson
import pytest

from deployments.core.errors import InferenceFailed, QueueFull, ServeError, TimedOut
from deployments.http.rest import build
from tests.deployments.fake_service import ask, call, identity, raising

GOOD = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [1]}]}
RAW = orjson.dumps(GOOD)


@pytest.mark.parametrize("path", ["", "/", "/versions/1"])
def test_the_model_describes_itself(path: str) -> None:
    assert ask(identity("FP32"), path, method="GET").json == {"name": "fake", "versions": ["1"]}


@pytest.mark.parametrize("version", ["", "/versions/1"])
@pytest.mark.parametrize("path, key", [("/config", "max_batch_size"), ("/stats", "model_stats"), ("/ready", "ready")])
def test_what_is_read_is_there_with_and_without_a_version(version: str, path: str, key: str) -> None:
    answer = ask(identity("FP32"), version + path, method="GET")
    assert answer.status == 200
    assert key in answer.json


def test_head_is_get_without_the_body() -> None:
    answer = ask(identity("FP32"), "/ready", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_model_that_is_not_ready_says_so_everywhere() -> None:
    service = identity("FP32")
    service.up = False
    assert ask(service, "/ready", method="GET").status == 503
    for path, body in (("/infer", GOOD), ("/predict", {"instances": [1]})):
        answer = ask(service, path, body)
        assert answer.status == 503
        assert "not ready" in answer.json["error"]


@pytest.mark.parametrize("path", ["/v2/models/fake/versions/1/infer", "/infer", "/versions/1/infer"])
def test_paths_may_be_whole_or_relative_to_the_model(path: str) -> None:
    answer = call(identity("FP32"), path, RAW)
    assert answer is not None
    assert answer.status == 200


@pytest.mark.parametrize(
    "method, path, status, sentence, allow",
    [
        ("GET", "/infer", 405, "this path takes POST, not GET", "POST"),
        ("DELETE", "/predict", 405, "this path takes POST, not DELETE", "POST"),
        ("POST", "", 405, "this path takes GET, HEAD, not POST", "GET, HEAD"),
        ("POST", "/ready", 405, "this path takes GET, HEAD, not POST", "GET, HEAD"),
        ("POST", "/versions/7/infer", 404, "model 'fake' has version '1', not '7'", None),
        ("GET", "/versions/2", 404, "model 'fake' has version '1', not '2'", None),
        ("GET", "/versions", 404, "there is nothing at '/v2/models/fake/versions'", None),
        ("POST", "/inferr", 404, "there is nothing at '/v2/models/fake/inferr'", None),
        ("POST", "-cpu/infer", 404, "there is nothing at '/v2/models/fake-cpu/infer'", None),
        ("GET", "/\udcff", 404, "there is nothing at", None),
    ],
)
def test_a_wrong_path_or_method_says_what_is_there(
    method: str, path: str, status: int, sentence: str, allow: str | None
) -> None:
    answer = ask(identity("FP32"), path, RAW, method=method)
    assert answer.status == status
    assert sentence in answer.json["error"]
    assert answer.headers.get("allow") == allow


@pytest.mark.parametrize(
    "error, status, kind, headers",
    [
        (QueueFull(3), 503, "queue_full", {"retry-after": "3"}),
        (TimedOut(), 408, "timeout", {}),
        (InferenceFailed(), 500, "inference_failed", {}),
    ],
)
def test_an_error_in_service_keeps_its_status(
    error: ServeError, status: int, kind: str, headers: dict[str, str]
) -> None:
    service = raising(error)
    answer = ask(service, "/infer", GOOD)
    assert answer.status == status
    assert answer.json == {"error": error.message}
    assert service.failures == [kind]
    assert headers.items() <= answer.headers.items()


@pytest.mark.parametrize("request_id", ["abc-7", None])
def test_a_fault_of_ours_is_logged_and_never_shown(
    request_id: str | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = raising(RuntimeError("secret"))
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    answer = ask(service, "/infer", GOOD, headers={"X-Request-Id": request_id} if request_id else {})
    assert answer.status == 500
    assert b"secret" not in answer.body
    named = answer.json["error"].removeprefix("internal error; the server log has it under request id ")
    assert named == (request_id or named)
    assert named in caplog.text
    assert "secret" in caplog.text
    assert service.failures == ["internal"]


def test_the_request_id_is_left_to_serve_to_send_back() -> None:
    headers = {"X-Request-Id": "abc"}
    assert "x-request-id" not in ask(identity("FP32"), "/infer", GOOD, headers=headers).headers


def test_the_timeout_of_the_request_reaches_the_service_in_seconds() -> None:
    service = identity("FP32")
    ask(service, "/infer", {**GOOD, "parameters": {"timeout": 250_000}})
    assert (service.seen[0].rows, service.seen[0].timeout_s) == (1, 0.25)


def test_a_lifespan_is_followed_to_its_end_and_a_websocket_closed() -> None:
    app = build(identity("FP32"))

    def run(kind: str, *messages: str) -> list[str]:
        waiting, sent = [{"type": message} for message in messages], []

        async def receive() -> Any:
            return waiting.pop(0)

        async def send(message: Any) -> None:
            sent.append(message["type"])

        asyncio.run(app({"type": kind}, receive, send))
        return sent

    started = run("lifespan", "lifespan.startup", "lifespan.shutdown")
    assert started == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert run("websocket", "websocket.connect") == ["websocket.close"]
