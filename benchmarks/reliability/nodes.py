"""A server on several Ray nodes of one machine, as `ray start` makes them and `serve deploy` fills them.

Every port is chosen: by default the nodes would want the same ones. The head has no CPUs, so replicas are elsewhere.
"""

import subprocess
from dataclasses import dataclass, field
from typing import IO

import requests

from pitstop import isolated_server, processes
from pitstop.ports import Ports
from pitstop.project import PROJECT

from .server_under_test import ServerError, ServerUnderTest, until

_CPUS = 2
_JOIN_S = 120.0
_PORTS = (
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
    "metrics-export-port",
    "node-manager-port",
    "object-manager-port",
)


# What each HAProxy must have for itself where several are on one machine.
_FRONT = "RAY_SERVE_WORKER_PROXY_HTTP_PORT"
PER_NODE = ("RAY_SERVE_HAPROXY_STATS_PORT", "RAY_SERVE_HAPROXY_METRICS_PORT")


@dataclass
class Clustered(ServerUnderTest):
    """A stand whose replicas are spread over nodes; `process` is the head. `fronts` are the other nodes' HTTP ports."""

    address: str = ""
    nodes: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)
    fronts: dict[str, int] = field(default_factory=dict)

    @property
    def dashboard(self) -> str:
        return self.address

    def lose(self, node: str) -> None:
        """End a node as a power cut does: every process of it, at once."""
        processes.kill(processes.of(self.nodes[node].pid, "of no run"))

    def end(self) -> None:
        # HAProxy outlives a Ray that is merely stopped.
        told = [isolated_server.command("serve"), "shutdown", "-y", "--address", self.address]
        subprocess.run(told, cwd=PROJECT, env=self.env, capture_output=True, timeout=60, check=False)
        for process in self.nodes.values():
            process.terminate()
        super().end()
        for process in self.nodes.values():
            process.wait(timeout=10)


def start(tested: ServerUnderTest, ports: Ports, workers: int) -> Clustered:
    """Start a head and its workers, and deploy."""
    gcs, dashboard = ports.one(), ports.one()
    head = [
        "--head",
        f"--port={gcs}",
        f"--ray-client-server-port={ports.one()}",
        f"--dashboard-port={dashboard}",
        f"--temp-dir={tested.folder}",
        "--num-cpus=0",
    ]
    with (tested.folder / "log").open("a") as log:
        process = _node(tested, ports, head, log)
        found = Clustered(**vars(tested), address=f"http://127.0.0.1:{dashboard}")
        found.process = process
        try:
            _joined(found, set())
            for _ in range(workers):
                before = set(_alive(found))
                front = ports.one()
                worker = _node(tested, ports, [f"--address=127.0.0.1:{gcs}", f"--num-cpus={_CPUS}"], log, front)
                name = _joined(found, before)
                found.nodes[name] = worker
                if tested.options.every_node:
                    found.fronts[name] = front
            found.deploy(lambda _: None)
        except BaseException:
            found.end()
            raise
    return found


def _node(
    tested: ServerUnderTest, ports: Ports, arguments: list[str], log: IO[str], front: int = 0
) -> "subprocess.Popen[str]":
    own = [f"--{name}={ports.one()}" for name in _PORTS]
    own += ["--min-worker-port=0", "--max-worker-port=0", f"--object-store-memory={100 * 1024**2}", "--num-gpus=0"]
    argv = [isolated_server.command("ray"), "start", "--block", *arguments, *own]
    fronts = {name: str(ports.one()) for name in PER_NODE} | {_FRONT: str(front)} if tested.options.every_node else {}
    return isolated_server.spawn(argv, {**tested.env, **fronts, "PYTHONPATH": str(PROJECT)}, log)


def _joined(tested: Clustered, before: set[str]) -> str:
    """Wait for a node that was not there before; return its id."""
    if not until(lambda: bool(set(_alive(tested)) - before), _JOIN_S):
        raise ServerError(f"a node did not join: {tested.log.strip().splitlines()[-3:]}")
    return next(iter(set(_alive(tested)) - before))


def _alive(tested: Clustered) -> list[str]:
    """Return the ids of the nodes that are up, as far as Ray knows."""
    try:
        found = requests.get(f"{tested.address}/api/v0/nodes", timeout=10).json()["data"]["result"]["result"]
    except (requests.RequestException, KeyError, TypeError, ValueError):
        return []
    return [str(each["node_id"]) for each in found if each["state"] == "ALIVE"]
