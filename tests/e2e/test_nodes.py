"""Models on several nodes: a node that joins under load is used, and one that leaves takes no request with it."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import yaml

from tests.e2e import clients
from tests.e2e.conftest import model
from tests.nodes import Node, Nodes, cluster, wait_until
from tests.services.where import number
from tests.serving import PROJECT

pytestmark = [pytest.mark.ray, pytest.mark.long]

CLIENTS = 8


class Asking:
    """Clients that ask without a pause; counts which node answered, and whatever was lost or wrong."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.good: Counter[int] = Counter()
        self.lost: list[str] = []
        self.wrong: list[str] = []
        self.stop = threading.Event()
        self.changed = threading.Condition()

    def client(self) -> None:
        body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [3]}]}
        with requests.Session() as session:
            while not self.stop.is_set():
                try:
                    answer = session.post(self.url, json=body, timeout=30)
                except requests.RequestException as error:
                    self._count(lost=repr(error))
                    continue
                if not answer.ok:
                    self._count(lost=f"{answer.status_code} {answer.text}")
                    continue
                outputs = {each["name"]: each["data"] for each in answer.json()["outputs"]}
                self._count(outputs["node"][0], None if outputs["y"] == [6.0] else str(outputs))

    def wait_for(self, node: Node, more: int = 20) -> None:
        """Wait until a node has given this many more answers."""
        with self.changed:
            target = self.good[number(node.id)] + more
            came = self.changed.wait_for(lambda: self.good[number(node.id)] >= target, timeout=120)
        assert came, f"node {number(node.id)} does not answer: {self.good}, lost {self.lost[:3]}"

    def answers(self, more: int) -> Counter[int]:
        """Return who gave the next so many answers."""
        with self.changed:
            before = self.good.copy()
            assert self.changed.wait_for(lambda: (self.good - before).total() >= more, timeout=120)
            return self.good - before

    def _count(self, node: int = 0, wrong: str | None = None, lost: str | None = None) -> None:
        with self.changed:
            if lost is not None:
                self.lost.append(lost)
            elif wrong is not None:
                self.wrong.append(wrong)
            else:
                self.good[node] += 1
            self.changed.notify_all()


@contextmanager
def asking(nodes: Nodes) -> Iterator[Asking]:
    found = Asking(f"http://127.0.0.1:{nodes.port}/v2/models/where/infer")
    with clients.asking(found.client, CLIENTS, found.stop):
        yield found


def config(replicas: int) -> dict[str, Any]:
    """serve_config.yaml with one model, each replica of which fills a CPU of its node."""
    raw: dict[str, Any] = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    raw.pop("grpc_options")
    raw["proxy_location"] = "HeadOnly"  # On one machine a second proxy would find the port taken.
    outputs = [
        {"name": "y", "datatype": "FP32", "shape": [-1, 1]},
        {"name": "node", "datatype": "INT64", "shape": [-1]},
    ]
    where = model("where", source={"factory": "tests.services.where:Where"}, outputs=outputs, num_cpus=1)
    where["deployments"][0]["num_replicas"] = replicas
    root = next(app for app in raw["applications"] if app["name"] == "root")
    root["args"] = {}
    raw["applications"] = [root, where]
    return raw


def ready(nodes: Nodes) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{nodes.port}/v2/health/ready", timeout=20).status_code == 200
    except requests.RequestException:
        return False


def on(nodes: Nodes, node: Node) -> int:
    return sum(each.get("node_id") == node.id for each in nodes.replicas("where"))


def test_nodes_join_and_leave_under_load_and_no_request_is_lost() -> None:
    with cluster(head_cpus=1) as nodes:
        first = nodes.add(cpus=1)
        nodes.deploy(config(replicas=2))
        wait_until(lambda: ready(nodes), "the model did not get ready")
        with asking(nodes) as found:
            head = nodes.all[0]
            for node in (head, first):
                found.wait_for(node)

            second = nodes.add(cpus=2)
            nodes.deploy(config(replicas=3))
            found.wait_for(second)

            nodes.drain(first)
            wait_until(lambda: on(nodes, first) == 0, "the drained node was not emptied")
            assert on(nodes, second) == 2
            assert number(first.id) not in found.answers(more=200)
            first.end()
            assert set(found.answers(more=200)) == {number(head.id), number(second.id)}
        assert (found.lost, found.wrong) == ([], [])
