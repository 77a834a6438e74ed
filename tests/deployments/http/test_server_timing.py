"""The parts of a request's time: told to a client that asks, and nothing changes for all others."""

import pytest

from deployments.core.request import InferRequest, InferResult
from deployments.http.request_head_cache import Endpoint, RequestHeadCache
from deployments.protocol.headers import TIMING
from tests.deployments.fake_service import Answer, FakeService, ask, identity, infer

BODY = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}]}
ASKED = {TIMING.decode(): "1"}


def parts(answer: Answer) -> dict[str, float]:
    told = (each.split(";dur=") for each in answer.headers["server-timing"].split(", "))
    return {name: float(ms) for name, ms in told}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    """A model whose rows wait 20 ms, and then 5 ms more while the first of two forwards of 10 and 30 ms runs."""
    found = identity("FP32", 1)
    result = found.result

    def ran(request: InferRequest) -> InferResult:
        if request.observed is not None:
            request.observed.forward(0.02, 0.01)
            request.observed.forward(0.035, 0.03)
        return result(request)

    monkeypatch.setattr(found, "result", ran)
    return found


@pytest.mark.parametrize("path", ["/infer", "/predict"])
def test_whoever_asks_is_told_the_parts_in_milliseconds(service: FakeService, path: str) -> None:
    body = BODY if path == "/infer" else {"instances": [[1.0]]}
    found = parts(ask(service, path, body, headers=ASKED))
    assert list(found) == ["queue", "forward", "rest", "total"]
    assert (found["queue"], found["forward"]) == (20, 40)
    assert found["rest"] >= 0


def test_where_no_forward_ran_here_only_the_total_is_told() -> None:
    assert list(parts(infer(identity("FP32", 1), BODY, headers=ASKED))) == ["total"]


def test_nobody_else_is_told_or_watched(service: FakeService) -> None:
    answer = infer(service, BODY)
    assert "server-timing" not in answer.headers
    assert service.seen[0].observed is None


def test_the_short_path_leaves_these_requests_to_serve_s_way(service: FakeService) -> None:
    heads = RequestHeadCache({b"/v2/models/fake/infer": Endpoint(service)})
    head = b"POST /v2/models/fake/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n%b\r\n"
    assert heads.read(head % b"") is not None
    assert heads.read(head % b"pitstop-timing: 1\r\n") is None
