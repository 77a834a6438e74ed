"""A version that may not serve never takes a request, and the one before it goes on."""

import time
from typing import Any

import pytest
import requests

from configs.document import application
from tests.e2e.clients import Load, load
from tests.e2e.conftest import model
from tests.serving import PROJECT, SHORT, Serving, dashboard, deploy, serve_run

pytestmark = [pytest.mark.ray, pytest.mark.long]
PATIENCE_S = 400.0


def one_old(raw: dict[str, Any]) -> None:
    slow = model("slow", ms=10)
    # Without the surge Serve stops a lone replica before it starts the next.
    slow["deployments"][0] |= {"num_replicas": 1, "max_surge_percent": 100}
    raw["applications"] = [application(raw, "root"), slow]


def wrong_checksum(raw: dict[str, Any]) -> None:
    source = raw["applications"][-1]["args"]["source"]
    raw["applications"][-1]["args"]["source"] = {
        **source,
        "weights": "models/zoo/digits.safetensors",
        "sha256": "0" * 64,
    }


def wrong_outputs(raw: dict[str, Any]) -> None:
    raw["applications"][-1]["args"]["outputs"][0]["shape"] = [-1, 2]


def status(serving: Serving) -> str:
    found = requests.get(f"{dashboard(serving)}/api/serve/applications/", timeout=60).json()
    return str(found["applications"]["slow"]["status"])


def wait_for_failure(serving: Serving, found: Load) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while status(serving) not in ("DEPLOY_FAILED", "UNHEALTHY"):
        assert time.monotonic() < deadline, status(serving)
        found.wait_for(20)


@pytest.mark.parametrize("wrong", [wrong_checksum, wrong_outputs])
def test_a_version_that_may_not_serve_takes_no_request_and_the_old_one_goes_on(
    wrong: Any,
    cache: object,  # noqa: ARG001
) -> None:
    with serve_run(PROJECT / "serve_config.yaml", SHORT, one_old) as serving, load(serving, "slow", clients=4) as found:
        deploy(serving, wrong)
        wait_for_failure(serving, found)
        found.wait_for(100)
        properties = requests.get(serving.model("slow"), timeout=60).json()
        assert properties["outputs"][0]["shape"] == [-1, 1]
