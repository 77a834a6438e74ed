"""pitstop, from its own configs: the YAML as it is shipped, with the one model and with free ports."""

from pathlib import Path
from typing import Any

import yaml

from configs.schema import ModelConfig, Tunables

from ..cache import PROJECT
from ..ports import free_port
from .codecs import open_inference
from .peer import Batching, Command, Launch, Peer


def _command(launch: Launch) -> Command:
    raw = yaml.safe_load((PROJECT / "configs" / f"{launch.workload.name}.yaml").read_text())
    config = launch.folder / "config.yaml"
    config.write_text(yaml.safe_dump(_alone(raw, launch), sort_keys=False))
    # The token that Ray otherwise asks of its commands would be written into the home directory.
    env = {"RAY_TMPDIR": str(launch.folder), "RAY_AUTH_MODE": "disabled"}
    return Command((str(launch.python.with_name("serve")), "run", str(config)), env, PROJECT)


def _alone(raw: dict[str, Any], launch: Launch) -> dict[str, Any]:
    """Return the config with the root app and the measured one, on ports that nothing else uses."""
    raw["http_options"]["port"] = launch.port
    if "grpc_options" in raw:
        raw["grpc_options"]["port"] = free_port()
    raw["applications"] = [app for app in raw["applications"] if app["name"] in ("root", launch.workload.name)]
    ports = _ports(launch.folder)
    for owner in [raw["controller_options"], *raw["applications"]]:
        variables = owner.setdefault("runtime_env", {}).get("env_vars", {})
        owner["runtime_env"]["env_vars"] = {**variables, **ports}
        if "grpc_port" in owner.get("args", {}):
            owner["args"]["grpc_port"] = free_port()
    return raw


def _ports(folder: Path) -> dict[str, str]:
    """Return what keeps this Ray Serve apart from any other on the machine; none of it changes a measurement."""
    first = free_port() // 10 * 10
    named = ("HAPROXY_METRICS_PORT", "HAPROXY_STATS_PORT", "FALLBACK_PROXY_HTTP_PORT", "FALLBACK_PROXY_GRPC_PORT")
    files = {
        "HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
        "HAPROXY_SOCKET_PATH": "admin.sock",
        "HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
        "HAPROXY_SERVER_STATE_FILE": "server-state",
    }
    ranges = {"MIN_HTTP_PORT": 0, "MAX_HTTP_PORT": 500, "MIN_GRPC_PORT": 501, "MAX_GRPC_PORT": 1000}
    return {
        **{f"RAY_SERVE_{name}": str(free_port()) for name in named},
        **{f"RAY_SERVE_{name}": str(folder / "ha" / file) for name, file in files.items()},
        **{f"RAY_SERVE_DIRECT_INGRESS_{name}": str(first + offset) for name, offset in ranges.items()},
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder / "ha"),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    }


def _batching(name: str) -> Batching:
    raw = yaml.safe_load((PROJECT / "configs" / f"{name}.yaml").read_text())
    app = next(app for app in raw["applications"] if app["name"] == name)
    tunables = app["deployments"][0].get("user_config", {})
    most = app["args"].get("max_rows", ModelConfig.model_fields["max_rows"].default)
    return Batching(tunables.get("max_rows") or most, tunables.get("wait_ms", Tunables.model_fields["wait_ms"].default))


PEER = Peer(
    name="pitstop",
    packages=(),
    settings="the shipped configs/*.yaml, one replica",
    batching={name: _batching(name) for name in ("mlp", "resnet50", "minilm")},
    command=_command,
    ready=lambda workload: f"/v2/models/{workload.name}/ready",
    codec=open_inference,
    # Until then HAProxy is reloaded for each app, and closes connections.
    announces="pitstop is ready",
    watched="ray::ServeReplica:mlp",
)
