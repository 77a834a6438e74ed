"""Replicas come and go under load, and no request is lost: what Serve's wrapper would have seen to, seen to by us.

HTTP and gRPC are asked at once, gRPC on either way to a replica.
"""

from typing import Any

import pytest
import requests
import yaml

from configs.document import application
from tests.e2e.clients import BODY, Calls, load, loaded
from tests.e2e.conftest import model
from tests.serving import Serving, deploy

pytestmark = pytest.mark.ray


def models() -> list[dict[str, Any]]:
    rolled = model("rolled", ms=10)
    rolled["deployments"][0] |= {"num_replicas": 2, "max_surge_percent": 100}
    return [rolled]


def replicas(serving: Serving) -> int:
    found = requests.get(f"{serving.url}/v2/repository/index", timeout=20).json()
    return int(next(each["replicas"] for each in found if each["name"] == "rolled"))


def fewer(raw: dict[str, Any]) -> None:
    application(raw, "rolled")["deployments"][0]["num_replicas"] = 1


def other_weights(raw: dict[str, Any]) -> None:
    application(raw, "rolled")["args"]["source"]["kwargs"]["factor"] = 3.0


def rolls(serving: Serving) -> None:
    in_one_hop = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    with (
        load(serving, "rolled", clients=6) as found,
        loaded(Calls(serving.grpc_port, "rolled"), clients=3),
        loaded(Calls(in_one_hop, "rolled", (("application", "rolled"),)), clients=3),
    ):
        deploy(serving, fewer)
        found.until(lambda: replicas(serving) == 1)
        deploy(serving, other_weights)
        found.until(lambda: answer(serving) == [9.0])
        found.until(lambda: replicas(serving) == 1)


def test_no_request_is_lost_when_a_model_scales_down_and_changes_its_weights(serving: Serving) -> None:
    rolls(serving)


def answer(serving: Serving) -> Any:
    return requests.post(f"{serving.model('rolled')}/infer", json=BODY, timeout=20).json()["outputs"][0]["data"]
