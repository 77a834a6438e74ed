"""Replicas come and go under load, and no request is lost: what Serve's wrapper would have seen to, seen to by us.

HTTP and gRPC are asked at once, gRPC on either way to a replica.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
import requests
import yaml

from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.e2e.clients import asking
from tests.e2e.conftest import model
from tests.serving import LONG, PROJECT, SHORT, Serving, deploy, serve_run

pytestmark = pytest.mark.ray

CONTENTS = pb.InferTensorContents(fp32_contents=[3])
TENSOR = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 1], contents=CONTENTS)
CALL = pb.ModelInferRequest(model_name="slow", inputs=[TENSOR])


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
                self.count(wrong)

    def count(self, wrong: str | None) -> None:
        with self.changed:
            self.good += wrong is None
            self.bad += [] if wrong is None else [wrong]
            self.changed.notify_all()

    def wait_for(self, more: int) -> None:
        """Wait until this many more answers have come, so that a step of the test had load all along."""
        with self.changed:
            target = self.good + more
            assert self.changed.wait_for(lambda: self.good >= target or self.bad, timeout=60)


class Calls(Load):
    """As Load, over gRPC: each client asks on a channel of its own."""

    def __init__(self, port: int, metadata: Any) -> None:
        super().__init__(f"127.0.0.1:{port}")
        self.metadata = metadata

    def client(self) -> None:
        with grpc.insecure_channel(self.url, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            while not self.stop.is_set():
                try:
                    stub.ModelInfer(CALL, metadata=self.metadata, timeout=20)
                    wrong = None
                except grpc.RpcError as error:
                    failed: Any = error
                    wrong = f"{self.url} {failed.code()} {failed.details()}"
                self.count(wrong)


@contextmanager
def load(serving: Serving, clients: int = 8) -> Iterator[Load]:
    with loaded(Load(f"{serving.model('slow')}/infer"), clients) as found:
        yield found


@contextmanager
def loaded(found: Load, clients: int) -> Iterator[Load]:
    with asking(found.client, clients, found.stop):
        found.wait_for(50)
        yield found
        found.wait_for(50)


def calls_to_the_front(serving: Serving) -> Calls:
    return Calls(serving.grpc_port, None)


def calls_in_one_hop(serving: Serving) -> Calls:
    port = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    return Calls(port, (("application", "slow"),))


def two_replicas(raw: dict[str, Any]) -> None:
    raw["applications"] = [app for app in raw["applications"] if app["name"] == "root"]
    slow = model("slow", ms=10)
    slow["deployments"][0] |= {"num_replicas": 2, "max_surge_percent": 100}
    raw["applications"].append(slow)


def replicas(serving: Serving) -> int:
    found = requests.get(f"{serving.url}/v2/repository/index", timeout=20).json()
    [slow] = [each for each in found if each["name"] == "slow"]
    return int(slow["replicas"])


@pytest.mark.parametrize("path", [SHORT, pytest.param(LONG, marks=pytest.mark.long)])
def test_no_request_is_lost_when_a_model_scales_down_and_changes_its_weights(path: str, cache: object) -> None:  # noqa: ARG001
    def fewer(raw: dict[str, Any]) -> None:
        raw["applications"][-1]["deployments"][0]["num_replicas"] = 1

    def other_weights(raw: dict[str, Any]) -> None:
        raw["applications"][-1]["args"]["source"]["kwargs"]["factor"] = 3.0

    with (
        serve_run(PROJECT / "serve_config.yaml", path, two_replicas) as serving,
        load(serving, clients=6) as found,
        loaded(calls_to_the_front(serving), clients=3) as front,
        loaded(calls_in_one_hop(serving), clients=3) as one_hop,
    ):
        deploy(serving, fewer)
        until(lambda: replicas(serving) == 1, found)
        deploy(serving, other_weights)
        until(lambda: answer(serving) == [9.0], found)
        until(lambda: replicas(serving) == 1, found)
    assert (found.bad, front.bad, one_hop.bad) == ([], [], [])


def answer(serving: Serving) -> Any:
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [3]}]}
    return requests.post(f"{serving.model('slow')}/infer", json=body, timeout=20).json()["outputs"][0]["data"]


def until(holds: Any, found: Load) -> None:
    for _ in range(200):
        if holds():
            return
        found.wait_for(20)
    raise AssertionError("it never came to hold")
