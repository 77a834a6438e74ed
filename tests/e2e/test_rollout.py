"""Replicas come and go under load, and no request is lost: what Serve's wrapper would have seen to, seen to by us."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.e2e.clients import asking
from tests.e2e.conftest import model
from tests.serving import LONG, PROJECT, SHORT, Serving, deploy, serve_run

pytestmark = pytest.mark.ray


class Load:
    """Clients that ask one after the other, each on its kept connection, and count what comes back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.good = 0
        self.bad: list[str] = []
        self.stop = threading.Event()
        self.changed = threading.Condition()

    def client(self) -> None:
        body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [3]}]}
        with requests.Session() as session:
            while not self.stop.is_set():
                try:
                    answer = session.post(self.url, json=body, timeout=20)
                    data = answer.json()["outputs"][0]["data"] if answer.ok else answer.text
                    wrong = None if data in ([6.0], [9.0]) else f"{answer.status_code} {data}"
                except requests.RequestException as error:
                    wrong = repr(error)
                with self.changed:
                    self.good += wrong is None
                    self.bad += [wrong] if wrong else []
                    self.changed.notify_all()

    def wait_for(self, more: int) -> None:
        """Wait until this many more answers have come, so that a step of the test had load all along."""
        with self.changed:
            target = self.good + more
            assert self.changed.wait_for(lambda: self.good >= target or self.bad, timeout=60)


@contextmanager
def load(serving: Serving, clients: int = 8) -> Iterator[Load]:
    found = Load(f"{serving.model('slow')}/infer")
    with asking(found.client, clients, found.stop):
        found.wait_for(50)
        yield found
        found.wait_for(50)


def two_replicas(raw: dict[str, Any]) -> None:
    raw["applications"] = [app for app in raw["applications"] if app["name"] == "root"]
    slow = model("slow", ms=10)
    slow["deployments"][0] |= {"num_replicas": 2, "max_surge_percent": 100}
    raw["applications"].append(slow)


def replicas(serving: Serving) -> int:
    found = requests.get(f"{serving.url}/v2/repository/index", timeout=20).json()
    [slow] = [each for each in found if each["name"] == "slow"]
    return int(slow["replicas"])


@pytest.mark.parametrize("path", [SHORT, LONG])
def test_no_request_is_lost_when_a_model_scales_down_and_changes_its_weights(path: str, cache: object) -> None:  # noqa: ARG001
    def fewer(raw: dict[str, Any]) -> None:
        raw["applications"][-1]["deployments"][0]["num_replicas"] = 1

    def other_weights(raw: dict[str, Any]) -> None:
        raw["applications"][-1]["args"]["source"]["kwargs"]["factor"] = 3.0

    with serve_run(PROJECT / "serve_config.yaml", path, two_replicas) as serving, load(serving) as found:
        deploy(serving, fewer)
        until(lambda: replicas(serving) == 1, found)
        deploy(serving, other_weights)
        until(lambda: answer(serving) == [9.0], found)
        until(lambda: replicas(serving) == 1, found)
    assert found.bad == []


def answer(serving: Serving) -> Any:
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [3]}]}
    return requests.post(f"{serving.model('slow')}/infer", json=body, timeout=20).json()["outputs"][0]["data"]


def until(holds: Any, found: Load) -> None:
    for _ in range(200):
        if holds():
            return
        found.wait_for(20)
    raise AssertionError("it never came to hold")
