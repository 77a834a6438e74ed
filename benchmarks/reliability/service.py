"""The configs of the two servers: pitstop's own, and Ray Serve's, both with the line model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from configs.document import application
from models.sources.files import digest

from ..cache import PROJECT
from .ray_serve_app import MAX_ROWS

Config = dict[str, Any]
_TENSOR = {"datatype": "FP32", "shape": [-1, 1]}
NAME = "line"
DRAIN = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"


def _shipped_drain_s() -> float:
    raw: Config = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    return float(raw["controller_options"]["runtime_env"]["env_vars"][DRAIN])


SHIPPED_DRAIN_S = _shipped_drain_s()


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What to serve: forwards of `ms` for up to MAX_ROWS rows, so a replica's capacity is known beforehand.

    `full_disk`: nothing can be written where artefacts are kept. `nodes`: how many there are beside the head; none
    for `serve run`. `more`: further models of the same kind. `grpc`: whether the root listens for it. `every_node`:
    each node has a HAProxy. `drain_s`: how long a replica that stops goes on accepting, at least.
    """

    ms: float = 20.0
    replicas: int = 2
    max_queue_size: int = 1024
    full_disk: bool = False
    nodes: int = 0
    more: tuple[str, ...] = ()
    grpc: bool = False
    every_node: bool = False
    drain_s: float = SHIPPED_DRAIN_S
    args: Config = field(default_factory=dict)
    user_config: Config = field(default_factory=dict)
    deployment: Config = field(default_factory=dict)

    @property
    def capacity_rps(self) -> float:
        """Rows a second that all replicas can do."""
        return self.replicas * MAX_ROWS * 1000 / self.ms


def save_weights(folder: Path, version: int) -> Path:
    """Write a version's weights, once, and return the file."""
    from safetensors.torch import save_file

    from .model import weights

    path = folder / f"line-{version}.safetensors"
    if not path.exists():
        save_file(weights(version), path)
    return path


def pitstop(options: ServiceOptions, folder: Path, env: dict[str, str]) -> Config:
    """Return serve_config.yaml with the line model in place of its own."""
    raw: Config = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    root = next(app for app in raw["applications"] if app["import_path"] == "deployments.app:root")
    raw.pop("grpc_options", None)
    root["args"] = {}
    fast = {**raw["controller_options"]["runtime_env"]["env_vars"], **env}
    raw["applications"] = [root, *(model(name, options, folder, fast) for name in (NAME, *options.more))]
    for owner in [raw["controller_options"], root]:
        owner["runtime_env"] = {"env_vars": fast}
    return raw


def model(name: str, options: ServiceOptions, folder: Path, fast: dict[str, str]) -> Config:
    """Return the application of one line model."""
    args = {
        "name": name,
        "device": "cpu",
        "num_cpus": 0.1,
        "backend": "eager",
        "source": {
            "factory": "benchmarks.reliability.model:SlowLine",
            "kwargs": {"ms": options.ms, "trouble": str(folder / "trouble")},
        },
        "inputs": [{"name": "x", **_TENSOR}],
        "outputs": [{"name": "y", **_TENSOR}, {"name": "version", **_TENSOR}],
        "max_batch_size": MAX_ROWS,
        **options.args,
    }
    # Weights are the line's own, whichever network it is.
    args["source"] = {**args["source"], **_weights(folder, 1)}
    deployment = {
        "name": "Model",
        "num_replicas": options.replicas,
        "max_ongoing_requests": 1024,
        "max_surge_percent": 100,
        "user_config": {"max_batch_size": MAX_ROWS, "max_queue_size": options.max_queue_size, **options.user_config},
        **options.deployment,
    }
    return {
        "name": name,
        "route_prefix": f"/v2/models/{name}",
        "import_path": "deployments.app:model",
        "runtime_env": {"env_vars": fast},
        "args": args,
        "deployments": [deployment],
    }


def ray_serve(options: ServiceOptions, folder: Path, _: dict[str, str]) -> Config:
    """Return the config of the application written the usual way, behind Ray's own proxy."""
    kwargs = {"ms": options.ms, "trouble": str(folder / "trouble"), "weights": str(save_weights(folder, 1))}
    app = {
        "name": NAME,
        "route_prefix": f"/{NAME}",
        "import_path": "benchmarks.reliability.ray_serve_app:build",
        "args": kwargs,
        "deployments": [{"name": "Line", "num_replicas": options.replicas}],
    }
    return {"http_options": {"host": "127.0.0.1"}, "applications": [app]}


def to_version(folder: Path, version: int, name: str = NAME) -> Callable[[Config], None]:
    """Return an edit that names other weights, in either server's config."""

    def edit(raw: Config) -> None:
        args = application(raw, name)["args"]
        if "source" in args:
            args["source"] |= _weights(folder, version)
        else:
            args["weights"] = str(save_weights(folder, version))

    return edit


def _weights(folder: Path, version: int) -> dict[str, str]:
    path = save_weights(folder, version)
    return {"weights": str(path), "sha256": digest(path)}
