"""Several real Ray nodes on one machine, as `ray start` makes them, and `serve deploy` onto them.

Every port is chosen: by default the nodes would want the same ones.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from pitstop.ports import Ports
from tests.serving import PROJECT, left_over, wait_until

_BIN = Path(sys.executable).parent
_TRIES = 3


@dataclass
class Node:
    """One `ray start --block`."""

    process: subprocess.Popen[bytes]
    id: str = ""

    def end(self) -> None:
        """End it as a machine that shuts down does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


@dataclass
class Nodes:
    """A cluster; the first node is its head."""

    folder: Path
    environment: dict[str, str]
    mark: str
    ports: Ports
    gcs: str
    dashboard: str
    port: int
    serve_ports: dict[str, str]
    all: list[Node] = field(default_factory=list)

    def add(self, cpus: int) -> Node:
        """Start a node and wait until it has joined. Ray gives one 30 s to start; a starved machine may take longer."""
        before = set(self.alive()) if self.all else set()
        for _ in range(_TRIES):
            node = Node(self._start(cpus))
            self.all.append(node)
            if joined := self._joined(node, before):
                [node.id] = joined
                return node
            self.all.remove(node)
        raise AssertionError(f"the node did not start:\n{(self.folder / f'node-{len(self.all)}.log').read_text()}")

    def _joined(self, node: Node, before: set[str]) -> set[str]:
        """Wait until there is a node that was not there before; return its id, or none where the process has ended."""
        wait_until(lambda: set(self.alive()) - before or node.process.poll() is not None, "the node did not join")
        return set(self.alive()) - before

    def _start(self, cpus: int) -> subprocess.Popen[bytes]:
        command = [str(_BIN / "ray"), "start", "--block", f"--num-cpus={cpus}", "--num-gpus=0", *self._arguments()]
        with (self.folder / f"node-{len(self.all)}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=PROJECT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def alive(self) -> list[str]:
        """Return the ids of the nodes that are up, as far as Ray knows."""
        try:
            found = requests.get(f"{self.dashboard}/api/v0/nodes", timeout=20).json()["data"]["result"]["result"]
        except (requests.RequestException, KeyError, TypeError, ValueError):
            return []
        return [str(each["node_id"]) for each in found if each["state"] == "ALIVE"]

    def deploy(self, raw: dict[str, Any]) -> None:
        """Do `serve deploy`."""
        for owner in [raw["controller_options"], *raw["applications"]]:
            variables = owner.setdefault("runtime_env", {}).get("env_vars", {})
            owner["runtime_env"]["env_vars"] = {**variables, **self.serve_ports}
        raw["http_options"] = {"host": "127.0.0.1", "port": self.port}
        path = self.folder / "deploy.yaml"
        path.write_text(yaml.safe_dump(raw, sort_keys=False))
        command = [str(_BIN / "serve"), "deploy", str(path), "--address", self.dashboard]
        subprocess.run(command, check=True, cwd=PROJECT, env=self.environment, timeout=120)

    def replicas(self, application: str) -> list[dict[str, Any]]:
        """Return an application's replicas, each with its state and, once it has a place, its node_id."""
        found = requests.get(f"{self.dashboard}/api/serve/applications/", timeout=60).json()["applications"]
        deployments = found.get(application, {}).get("deployments", {}).values()
        return [replica for each in deployments for replica in each["replicas"]]

    def drain(self, node: Node) -> None:
        """Tell Ray that a node will go: what it runs is started elsewhere before it ends here."""
        command = [str(_BIN / "ray"), "drain-node", f"--address={self.gcs}", f"--node-id={node.id}"]
        reason = ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=test", "--deadline-remaining-seconds=600"]
        subprocess.run([*command, *reason], check=True, cwd=PROJECT, env=self.environment, timeout=120)

    def _arguments(self) -> list[str]:
        names = ["dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port"]
        names += ["metrics-export-port", "node-manager-port", "object-manager-port"]
        ports = [f"--{name}={self.ports.one()}" for name in names]
        ports += ["--min-worker-port=0", "--max-worker-port=0", f"--object-store-memory={100 * 1024**2}"]
        if self.all:
            return [*ports, f"--address={self.gcs}"]
        head = ["--head", f"--port={self.gcs.rpartition(':')[2]}", f"--ray-client-server-port={self.ports.one()}"]
        return [*ports, *head, f"--dashboard-port={self.dashboard.rpartition(':')[2]}", f"--temp-dir={self.folder}"]


@contextmanager
def cluster(head_cpus: int) -> Iterator[Nodes]:
    """Start a head; at the end no process of the cluster is left."""
    with tempfile.TemporaryDirectory(prefix="pit-", ignore_cleanup_errors=True) as name, Ports() as ports:
        folder, mark = Path(name), f"PITSTOP_TEST={uuid.uuid4().hex}"
        key, _, value = mark.partition("=")
        own = {key: value, "RAY_TMPDIR": name, "PYTHONPATH": str(PROJECT), "RAY_AUTH_MODE": "disabled"}
        gcs, dashboard = f"127.0.0.1:{ports.one()}", f"http://127.0.0.1:{ports.one()}"
        environment = {"PITSTOP_CACHE": f"{name}/cache", **os.environ, **own}
        serve_ports = ports.of_serve(folder)
        nodes = Nodes(folder, environment, mark, ports, gcs, dashboard, ports.one(), serve_ports)
        try:
            nodes.add(head_cpus)
            yield nodes
        finally:
            _end(nodes)


def _end(nodes: Nodes) -> None:
    if nodes.alive():
        command = [str(_BIN / "serve"), "shutdown", "-y", "--address", nodes.dashboard]
        subprocess.run(command, check=False, cwd=PROJECT, env=nodes.environment, timeout=120, capture_output=True)
    for node in reversed(nodes.all):
        if node.process.poll() is None:
            node.end()
    wait_until(lambda: not left_over(nodes.mark), f"left behind: {json.dumps(left_over(nodes.mark))}", 60)
