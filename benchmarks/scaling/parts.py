"""The arithmetic: what a fleet of GPUs could answer, and what each part around them bears. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pitstop.plan.choose import BUSIEST, capacity_rps
from pitstop.plan.simulate import Costs, ReplicaSetting


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the way: the most requests a second that it bears, and what would raise that."""

    name: str
    bears_rps: float
    remedy: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """What `rate_rps` needs, and the parts of it, the weakest first."""

    gpus: int
    nodes: int
    ingress_replicas: int
    rate_rps: float
    parts: tuple[Part, ...]

    @property
    def weak(self) -> list[Part]:
        """The parts that bear less than is asked for."""
        return [part for part in self.parts if part.bears_rps < self.rate_rps]


def of_gpus(gpus: int, body_bytes: float, known: Mapping[str, float]) -> Fleet:
    """Return the fleet of so many GPUs at the load at which the planner would call them full."""
    return _fleet(gpus, _devices_rps(gpus, known), body_bytes, known)


def of_rate(rate_rps: float, body_bytes: float, known: Mapping[str, float]) -> Fleet:
    """Return the fleet for a rate."""
    return _fleet(math.ceil(rate_rps / _devices_rps(1, known)), rate_rps, body_bytes, known)


def _devices_rps(gpus: int, known: Mapping[str, float]) -> float:
    """Return what the devices alone answer at the planner's highest load."""
    rows = int(known["full_rows"])
    costs = Costs({rows: [1000 * rows / known["gpu_rps"]]})
    return BUSIEST * capacity_rps(costs, 1, ReplicaSetting(rows, replicas=gpus))


def _fleet(gpus: int, rate_rps: float, body_bytes: float, known: Mapping[str, float]) -> Fleet:
    nodes = math.ceil(gpus / known["node_gpus"])
    loops = gpus * BUSIEST * known["loop_rps"]
    ingress = math.ceil(rate_rps / (BUSIEST * known["loop_rps"])) if loops < rate_rps else 0
    parts = (
        Part(
            "event loops of the replicas",
            loops,
            f"ingress_replicas: {max(1, math.ceil(ingress / gpus))} or binary bodies",
        ),
        Part("HAProxy's threads", _proxies_rps(nodes, known), "more threads (RAY_SERVE_HAPROXY_NBTHREAD), more nodes"),
        Part(
            "HAProxy's connections",
            _connections_rps(nodes, known),
            "RAY_SERVE_HAPROXY_MAXCONN, and `ulimit -n` with it",
        ),
        Part("open files", _files_rps(nodes, known), "`ulimit -n`"),
        Part("the network", _network_rps(nodes, body_bytes, known), "compressed bodies, a faster network, more nodes"),
        Part("the controller", _controller_rps(gpus, rate_rps, known), "a longer metrics_interval_s, several clusters"),
    )
    return Fleet(gpus, nodes, ingress, rate_rps, tuple(sorted(parts, key=lambda part: part.bears_rps)))


def _proxies_rps(nodes: int, known: Mapping[str, float]) -> float:
    return nodes * BUSIEST * known["proxy_threads"] * 1e6 / known["proxy_us"]


def _connections_rps(nodes: int, known: Mapping[str, float]) -> float:
    return nodes * known["maxconn"] * 1000 / known["latency_ms"]


def _files_rps(nodes: int, known: Mapping[str, float]) -> float:
    return nodes * known["open_files"] / known["files_a_connection"] * 1000 / known["latency_ms"]


def _network_rps(nodes: int, body_bytes: float, known: Mapping[str, float]) -> float:
    """A body enters the node of its HAProxy and, but for one in `nodes`, leaves it for another: twice in, once out."""
    entries = 1 + (nodes - 1) / nodes
    return nodes * BUSIEST * known["node_gbit"] * 1e9 / 8 / body_bytes / entries


def _controller_rps(gpus: int, rate_rps: float, known: Mapping[str, float]) -> float:
    """Requests do not pass the controller; it bears so many replicas, and each so many requests."""
    replicas = known["controller_rps"] * known["report_s"]
    return replicas * rate_rps / gpus


def old_proxies(changes_a_minute: float, known: Mapping[str, float]) -> float:
    """Return how many HAProxy processes of before a change a node may hold at once; long requests keep them."""
    reloads_a_second = min(changes_a_minute / 60, 1 / known["coalesce_s"])
    return reloads_a_second * known["hard_stop_s"]
