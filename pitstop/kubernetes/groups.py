"""Which pods a config needs: a group of workers for each kind of device, sized so that replicas fill whole pods.

Pure arithmetic. A pod keeps one core beyond what its replicas reserve, for HAProxy, Ray's own processes and the root
application, none of which reserves any.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from configs.lint.applications import INGRESS
from configs.loader import ConfigError, Deployment, ModelApp
from configs.problems import items, mapping

from ..replicas import replica_bounds

_SPARE_CORES = 1


@dataclass(frozen=True, slots=True)
class Size:
    """What one replica, or all replicas of a pod, reserve."""

    cpus: float
    gpus: float = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.cpus + other.cpus, self.gpus + other.gpus)

    def fits(self, other: "Size") -> bool:
        return self.cpus <= other.cpus + 1e-9 and self.gpus <= other.gpus + 1e-9


@dataclass(frozen=True, slots=True)
class Group:
    """Workers that are all alike. `pod` is what Ray may give to replicas on one of them."""

    name: str
    pod: Size
    least: int
    most: int
    accelerator: str | None = None

    @property
    def cores(self) -> int:
        """What the pod asks for, beyond what Ray may give away."""
        return int(self.pod.cpus) + _SPARE_CORES

    @property
    def gpus(self) -> int:
        return int(self.pod.gpus)

    @property
    def memory_gib(self) -> int:
        return 2 * self.cores + 8 * self.gpus + 2


@dataclass(frozen=True, slots=True)
class _Demand:
    size: Size
    least: int
    most: int
    accelerator: str | None


def groups_of(deployment: Deployment) -> list[Group]:
    """Return the groups of workers, CPU first; raise ConfigError where a cluster cannot serve the config."""
    _reachable(deployment)
    demands: dict[str, list[_Demand]] = {}
    for app in deployment.models:
        kind = _kind(deployment, app)
        demands.setdefault(kind, []).append(_demand(app))
        if app.config.ingress_replicas:
            count = _ingress(deployment, app)
            demands.setdefault("cpu", []).append(_Demand(Size(1), count, count, None))
    return [_group(kind, demands[kind]) for kind in sorted(demands)]


def _group(kind: str, demands: list[_Demand]) -> Group:
    gpus = math.ceil(max(each.size.gpus for each in demands))
    # On a GPU that several replicas share, each of them needs its cores.
    sharing = [math.floor(gpus / each.size.gpus + 1e-9) if gpus else 1 for each in demands]
    cpus = math.ceil(max(each.size.cpus * count for each, count in zip(demands, sharing, strict=True)))
    pod = Size(cpus, gpus)
    least = pods([each.size for each in demands for _ in range(each.least)], pod)
    most = pods([each.size for each in demands for _ in range(each.most)], pod)
    return Group(kind, pod, least, most, demands[0].accelerator)


def pods(sizes: Iterable[Size], pod: Size) -> int:
    """Return how many pods hold these replicas, the largest first, each in the first pod that has room."""
    used: list[Size] = []
    for size in sorted(sizes, key=lambda each: (-each.gpus, -each.cpus)):
        for index, taken in enumerate(used):
            if (taken + size).fits(pod):
                used[index] = taken + size
                break
        else:
            used.append(size)
    return len(used)


def _demand(app: ModelApp) -> _Demand:
    config = app.config
    size = Size(config.num_cpus, config.num_gpus if config.device == "cuda" else 0)
    least, most = _bounds(app.replicas)
    return _Demand(size, least, most, config.accelerator_type if config.device == "cuda" else None)


def _bounds(replicas: Mapping[str, Any]) -> tuple[int, int]:
    least, most = replica_bounds(replicas)
    surge = math.ceil(most * float(replicas.get("max_surge_percent") or 0) / 100)
    return least, most + surge


def _kind(deployment: Deployment, app: ModelApp) -> str:
    config = app.config
    if config.device == "cpu":
        return "cpu"
    if config.device == "cuda":
        return f"gpu-{config.accelerator_type.lower()}" if config.accelerator_type else "gpu"
    raise ConfigError(
        f"{deployment.path}: {app.name}: device is auto, which takes what the cluster has when it starts\n"
        "help: say cuda or cpu, so that the right pods are asked for"
    )


def _reachable(deployment: Deployment) -> None:
    host = mapping(deployment.raw, "http_options").get("host", "127.0.0.1")
    if host != "0.0.0.0":
        raise ConfigError(
            f"{deployment.path}: http_options.host is {host}, which no one outside the pod reaches\nhelp: write 0.0.0.0"
        )


def _ingress(deployment: Deployment, app: ModelApp) -> int:
    raw = next(each for _, each in items(deployment.raw, "applications") if each.get("name") == app.name)
    listed = next((each for _, each in items(raw, "deployments") if each.get("name") == INGRESS), {})
    return _bounds({"num_replicas": app.config.ingress_replicas, **listed})[1]
