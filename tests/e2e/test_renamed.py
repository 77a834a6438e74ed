"""On a Ray and a uvicorn that have renamed what is private, models start and answer: Serve's way, which is slower."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
import yaml

from configs.document import application
from deployments.ray_compat import controller, handles, servers, uvicorn_protocol
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.e2e.clients import BODY, TENSOR
from tests.e2e.conftest import model
from tests.e2e.renamed import SERVED, make
from tests.e2e.together.test_canary import models as slow_with_canary
from tests.e2e.together.test_ingress import behind
from tests.serving import PROJECT, SHORT, Serving, serve_run, wait_until

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def other_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = make(tmp_path_factory.mktemp("other") / "site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
        yield folder


@pytest.fixture(scope="module")
def serving(cache: object, other_ray: Path) -> Iterator[Serving]:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", SHORT, several) as found:
        yield found


def several(raw: dict[str, Any]) -> None:
    raw["applications"] = [application(raw, "root"), *slow_with_canary(), behind(model("blocks"), 1)]


def test_it_is_another_ray_in_which_no_part_can_be_used(other_ray: Path) -> None:
    code = """
import ray, uvicorn
from deployments.ray_compat.names import problems
from deployments.ray_compat.table import PARTS
print(ray.__file__, uvicorn.__file__, *(part.noun for part in PARTS if any(problems(part))), sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    ours, theirs, *parts = done.stdout.splitlines()
    assert (Path(ours).parents[1], Path(theirs).parents[1]) == (other_ray, other_ray)
    assert {part.noun for part in SERVED} <= set(parts)


@pytest.mark.parametrize("name", ["slow", "slow-canary", "blocks"])
def test_models_answer_through_serve_s_wrapper_also_behind_ingress_replicas(serving: Serving, name: str) -> None:
    answer = requests.post(f"{serving.model(name)}/infer", json=BODY, timeout=20)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] in ([6.0], [9.0])
    assert "x-request-id" in answer.headers  # Serve's wrapper gives each request an id.


def test_serve_s_own_grpc_answers(serving: Serving) -> None:
    port = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        asked = pb.ModelInferRequest(model_name="blocks", inputs=[TENSOR])
        answer = stub.ModelInfer(asked, metadata=[("application", "blocks")], timeout=20)
    assert answer.outputs[0].shape == [1, 1]


def test_the_server_knows_its_models(serving: Serving) -> None:
    assert requests.get(f"{serving.url}/v2/health/ready", timeout=20).json() == {"ready": True}
    index = requests.post(f"{serving.url}/v2/repository/index", timeout=20).json()
    assert {each["name"]: each["state"] for each in index} == dict.fromkeys(("slow", "slow-canary", "blocks"), "READY")
    absent = requests.get(f"{serving.url}/v2/models/none", timeout=20)
    assert absent.status_code == 404


def test_a_canary_is_found_and_gets_its_share(serving: Serving) -> None:
    def stats() -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{serving.model('slow')}/stats", timeout=20).json()["model_stats"][0]
        return found

    wait_until(lambda: stats()["pitstop"]["canary"]["up"], "the canary did not come up")
    answers = [requests.post(f"{serving.model('slow')}/infer", json=BODY, timeout=20) for _ in range(100)]
    assert {each.status_code for each in answers} == {200}
    assert {each.json()["model_version"] for each in answers} == {"1", "2"}


def test_the_log_says_what_is_lost(serving: Serving) -> None:
    parts = (servers.ADDRESS, uvicorn_protocol.PROTOCOL, controller.DETAILS, handles.BY_GRPC)
    assert [part.noun for part in parts if part.lost not in serving.log] == []
