"""Models on several nodes: a node that joins under load is used, and one that leaves takes no request with it."""

from collections import Counter
from typing import Any

import pytest
import requests
import yaml

from configs.document import application
from tests.e2e.clients import Load, asking
from tests.e2e.conftest import model
from tests.nodes import Node, Nodes, cluster
from tests.services.where import number
from tests.serving import PROJECT, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.long]

CLIENTS = 8


class OnNodes(Load):
    """As Load, and counts which node answered."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.by: Counter[int] = Counter()

    def judge(self, answer: requests.Response) -> str | None:
        if wrong := super().judge(answer):
            return wrong
        outputs = {each["name"]: each["data"] for each in answer.json()["outputs"]}
        if outputs["y"] != [6.0]:
            return str(outputs)
        with self.changed:
            self.by[outputs["node"][0]] += 1
        return None

    def wait_for_node(self, node: Node, more: int = 20) -> None:
        """Wait until a node has given this many more answers."""
        with self.changed:
            target = self.by[number(node.id)] + more
            came = self.changed.wait_for(lambda: self.by[number(node.id)] >= target or self.bad, timeout=120)
        assert self.bad == [], self.bad[:5]
        assert came, f"node {number(node.id)} does not answer: {self.by}"

    def answers(self, more: int) -> set[int]:
        """Return who gave the next so many answers."""
        with self.changed:
            before = self.by.copy()
        self.wait_for(more)
        with self.changed:
            return set(self.by - before)


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
    root = application(raw, "root")
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
        with asking(OnNodes(f"http://127.0.0.1:{nodes.port}/v2/models/where/infer"), CLIENTS) as found:
            head = nodes.all[0]
            for node in (head, first):
                found.wait_for_node(node)

            second = nodes.add(cpus=2)
            nodes.deploy(config(replicas=3))
            found.wait_for_node(second)

            nodes.drain(first)
            wait_until(lambda: on(nodes, first) == 0, "the drained node was not emptied")
            assert on(nodes, second) == 2
            assert number(first.id) not in found.answers(more=200)
            first.end()
            assert found.answers(more=200) == {number(head.id), number(second.id)}
