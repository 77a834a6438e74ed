"""A model grows and shrinks with what waits for its device, down to nothing and back, and no request is lost."""

import threading
from contextlib import AbstractContextManager
from typing import Any

import pytest
import requests

from configs.lint.autoscaling import TARGET_QUEUE
from tests.e2e.clients import BODY, Load, asking
from tests.e2e.conftest import model
from tests.serving import Serving

pytestmark = pytest.mark.ray

# A start of a replica on a machine with other things to do.
WAIT_S = 120


def scaling(least: int, most: int) -> dict[str, Any]:
    return {
        "min_replicas": least,
        "max_replicas": most,
        "metrics_interval_s": 0.5,
        "look_back_period_s": 2,
        "upscale_delay_s": 0,
        "downscale_delay_s": 2,
        "policy": {"policy_function": TARGET_QUEUE},
    }


def models() -> list[dict[str, Any]]:
    """`elastic` takes 100 ms a row, one by one, and has one replica or two; `sleeper` has none or one."""
    found = []
    for name, config, ms in (("elastic", scaling(1, 2), 100), ("sleeper", scaling(0, 1), 1)):
        found.append(model(name, ms=ms, max_batch_size=1))
        deployment = found[-1]["deployments"][0]
        deployment["autoscaling_config"] = config
        deployment.setdefault("user_config", {})["targets"] = {"queue_ms": 300}
    return found


class Cold(threading.Thread):
    """One request to a model of which nothing runs; `answer` is what it got."""

    def __init__(self, serving: Serving) -> None:
        super().__init__()
        self._url = f"{serving.model('sleeper')}/infer"
        self.answer = "none yet"

    def run(self) -> None:
        try:
            answer = requests.post(self._url, json=BODY, timeout=WAIT_S)
            self.answer = f"{answer.status_code} {answer.json()['outputs'][0]['data'] if answer.ok else answer.text}"
        except requests.RequestException as error:
            self.answer = repr(error)


def clients(serving: Serving, count: int) -> AbstractContextManager[Load]:
    """Let `count` clients ask `elastic`, each as soon as it has its answer."""
    return asking(Load(f"{serving.model('elastic')}/infer"), count)


def replicas(serving: Serving, name: str) -> int:
    found = requests.get(f"{serving.url}/v2/repository/index", timeout=20).json()
    return int(next(each["replicas"] for each in found if each["name"] == name))


def until(serving: Serving, name: str, count: int) -> None:
    """Wait until that many replicas of a model run, or start, or drain."""
    pause, tries = threading.Event(), 0
    while (found := replicas(serving, name)) != count:
        tries += 1
        assert tries < WAIT_S, f"{name} has {found} replicas, not {count}; the log:\n{serving.log}"
        pause.wait(1)


def test_a_model_grows_and_shrinks_with_its_queue_and_wakes_from_nothing(serving: Serving) -> None:
    assert (replicas(serving, "elastic"), replicas(serving, "sleeper")) == (1, 0)
    cold = Cold(serving)
    cold.start()
    # Eight under way are 800 ms of work, and twice what one replica may do; four for each of two are still more.
    with clients(serving, 8) as load:
        until(serving, "elastic", 2)
        load.wait_for(20)
    cold.join()
    assert cold.answer == "200 [6.0]"
    # One at a time waits for nobody: one replica is enough again, and goes on while the other drains.
    with asking(Paced(f"{serving.model('elastic')}/infer"), 1) as load:
        until(serving, "elastic", 1)
        load.wait_for(3)
    assert "told once" not in serving.log


class Paced(Load):
    """One client that rests longer than it asks."""

    def client(self) -> None:
        with requests.Session() as session:
            while not self.stop.wait(0.5):
                self.count(self.judge(session.post(self.url, json=BODY, timeout=20)))
