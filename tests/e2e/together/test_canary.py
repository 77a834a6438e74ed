"""Two versions of one model over real Ray: the share is kept, changes in place, and no request fails by the canary."""

import math
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
import requests

from configs.document import application
from deployments.canary.canary import in_share
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.e2e.clients import BODY, STOPS, load, replicas
from tests.e2e.conftest import model
from tests.serving import Serving, deploy, wait_until

pytestmark = pytest.mark.ray

ANSWERS = {"1": [6.0], "2": [9.0]}


def models() -> list[dict[str, Any]]:
    share = {"canary": {"application": "slow-canary", "percent": 20}}
    other = model("slow-canary", ms=5, version="2")
    other["args"]["source"]["kwargs"]["factor"] = 3.0
    other["deployments"][0]["health_check_period_s"] = 1  # A killed one is missed sooner.
    return [model("slow", ms=5, tunables=share), other]


@pytest.fixture(scope="module")
def pair(serving: Serving) -> Serving:
    wait_until(lambda: canary(serving)["up"], "the canary did not come up")
    return serving


def canary(serving: Serving) -> dict[str, Any]:
    stats = requests.get(f"{serving.model('slow')}/stats", timeout=20).json()["model_stats"]
    found: dict[str, Any] = stats[0]["pitstop"]["canary"]
    return found


def fell_back(serving: Serving) -> int:
    return sum(count for outcome, count in canary(serving)["outcomes"].items() if outcome != "answered")


def version(serving: Serving, identity: str | None = None, path: str = "/infer") -> str:
    """Ask once; return the version that answered, having held its answer against it."""
    body: dict[str, Any] = dict(BODY)
    if identity is not None:
        body["id"] = identity
    answer = requests.post(serving.model("slow") + path, json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["model_name"] == "slow"
    assert found["outputs"][0]["data"] == ANSWERS[found["model_version"]]
    return str(found["model_version"])


def ask_canary(serving: Serving) -> list[float]:
    """Ask the canary by its own name."""
    answer = requests.post(f"{serving.model('slow-canary')}/infer", json=BODY, timeout=20)
    found: list[float] = answer.json()["outputs"][0]["data"]
    return found


def many(serving: Serving, identities: list[str] | list[None]) -> list[str]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda identity: version(serving, identity), identities))


def share(percent: float) -> Callable[[dict[str, Any]], None]:
    def edit(raw: dict[str, Any]) -> None:
        application(raw, "slow")["deployments"][0]["user_config"]["canary"]["percent"] = percent

    return edit


def test_an_id_decides_which_version_answers(pair: Serving) -> None:
    identities = [f"request-{n}" for n in range(300)]
    before = fell_back(pair)
    found = many(pair, identities)
    share = {identity for identity in identities if in_share(identity, 20)}
    answered = {identity for identity, each in zip(identities, found, strict=True) if each == "2"}
    assert answered <= share
    # On a machine that has no time for the canary, the stable version may have answered for it.
    assert len(share - answered) <= fell_back(pair) - before


def test_without_ids_the_share_is_the_one_in_the_yaml(pair: Serving) -> None:
    before = fell_back(pair)
    n, p = 500, 0.2
    chosen = many(pair, [None] * n).count("2") + fell_back(pair) - before
    # Five standard deviations: one run in two million would fail by chance.
    assert abs(chosen - n * p) <= 5 * math.sqrt(n * p * (1 - p))


def test_a_version_in_the_url_is_the_one_that_answers(pair: Serving) -> None:
    for wanted in ("1", "2"):
        assert {version(pair, path=f"/versions/{wanted}/infer") for _ in range(20)} == {wanted}
    assert requests.get(pair.model("slow"), timeout=20).json()["versions"] == ["1", "2"]
    assert requests.get(f"{pair.model('slow')}/versions/2/ready", timeout=20).status_code == 200
    unknown = requests.post(f"{pair.model('slow')}/versions/3/infer", json={}, timeout=20)
    assert unknown.status_code == 404
    assert "'1' and '2', not '3'" in unknown.json()["error"]


def test_a_version_in_a_grpc_message_is_the_one_that_answers(pair: Serving) -> None:
    request = pb.ModelInferRequest(model_name="slow", raw_input_contents=[np.array([3], np.float32).tobytes()])
    request.inputs.add(name="x", datatype="FP32", shape=[1, 1])
    with grpc.insecure_channel(f"127.0.0.1:{pair.grpc_port}") as channel:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        for wanted in ("1", "2"):
            request.model_version = wanted
            answer = stub.ModelInfer(request, timeout=20)
            assert answer.model_version == wanted
            assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist() == ANSWERS[wanted]


def test_statistics_are_kept_for_each_version(pair: Serving) -> None:
    stats = requests.get(f"{pair.model('slow')}/stats", timeout=20).json()["model_stats"]
    assert [(each["name"], each["version"]) for each in stats] == [("slow", "1"), ("slow", "2")]


def test_no_request_fails_when_the_canary_is_killed_and_it_is_used_again_when_it_is_back(pair: Serving) -> None:
    with load(pair, "slow") as loaded:
        os.kill(replicas(pair, "slow-canary")[0], signal.SIGKILL)
        loaded.wait_for(100)
        assert requests.get(f"{pair.url}/v2/health/ready", timeout=20).status_code == 200
        wait_until(lambda: canary(pair)["up"], "the canary did not come back")
        answered = canary(pair)["outcomes"]["answered"]
        wait_until(lambda: canary(pair)["outcomes"]["answered"] > answered, "the canary got no request")


def test_a_stopped_replica_of_the_stable_version_does_not_stop_the_canary(pair: Serving) -> None:
    deploy(pair, share(50))
    wait_until(lambda: canary(pair)["percent"] == 50, "the share did not change")
    wait_until(lambda: canary(pair)["up"], "the canary is away")
    [stable] = replicas(pair, "slow")
    with load(pair, "slow") as loaded:
        for _ in range(STOPS):
            os.kill(stable, signal.SIGSTOP)
            try:
                answers = [ask_canary(pair) for _ in range(10)]
            finally:
                os.kill(stable, signal.SIGCONT)
            assert answers == [ANSWERS["2"]] * 10
            loaded.wait_for(50)


def test_the_share_changes_in_place_down_to_none(pair: Serving) -> None:
    with load(pair, "slow"):
        deploy(pair, share(0))
        wait_until(lambda: canary(pair)["percent"] == 0, "the share did not change")
        assert set(many(pair, [None] * 100)) == {"1"}
