"""pitstop, from its own configs: the YAML as it is shipped, with the one model and with free ports."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from configs.document import application
from configs.schema import ModelConfig
from pitstop import isolated_server
from pitstop.ports import Ports

from ..cache import PROJECT
from ..device import chosen
from .codecs import open_inference
from .peer import Batching, Command, Launch, Peer

_HELD: list[Ports] = []


def _command(launch: Launch) -> Command:
    config = launch.folder / "config.yaml"
    config.write_text(yaml.safe_dump(_alone(launch), sort_keys=False))
    # The token that Ray otherwise asks of its commands would be written into the home directory.
    env = {"RAY_TMPDIR": str(launch.folder), "RAY_AUTH_MODE": "disabled"}
    return Command((str(launch.python), "-m", "ray.serve.scripts", "run", str(config)), env, PROJECT)


def shipped(name: str, project: Path = PROJECT) -> dict[str, Any]:
    """Return a project's config with the root app and the one model, on the chosen device."""
    raw: dict[str, Any] = yaml.safe_load((project / "configs" / f"{name}.yaml").read_text())
    raw["applications"] = [app for app in raw["applications"] if app["name"] in ("root", name)]
    app = application(raw, name)
    # Not `auto`: beside peers on the CPU no GPU of the machine may be taken.
    app["args"] = {**app["args"], "device": chosen().kind}
    return raw


def _alone(launch: Launch) -> dict[str, Any]:
    """Return the config of the measured model, on ports that nothing else uses."""
    ports = Ports()
    # Nobody tells when the server has ended; one is measured at a time, so the next start gives the block back.
    _HELD[:] = [ports]
    raw = shipped(launch.workload.name)
    isolated_server.on_own_ports(raw, launch.port, ports, launch.folder)
    if chosen().is_gpu:
        application(raw, launch.workload.name)["args"] |= {
            "precision": chosen().precision,
            "max_batch_size": launch.batching.max_batch_size,
        }
    elif chosen().precision == "fp32":
        hold_to_fp32(application(raw, launch.workload.name)["args"])
    return raw


def hold_to_fp32(args: dict[str, Any]) -> None:
    """Edit a model's args so that it serves in fp32, as its peers do, by the backend that is fastest then."""
    args.pop("accept", None)
    args |= {"backend": "auto", "precision": "fp32"}


def read_by(raw: dict[str, Any], name: str, ingress_replicas: int) -> None:
    """Put ingress replicas in front of a model in a config."""
    app = application(raw, name)
    app["args"] = {**app["args"], "ingress_replicas": ingress_replicas}
    entry = {"name": "Ingress", "max_ongoing_requests": 1024, "ray_actor_options": {"num_cpus": 0.5}}
    app["deployments"] = [*app["deployments"], entry]


def changed(edit: Callable[[dict[str, Any]], None]) -> Peer:
    """Return pitstop with its config, as it would be started, edited in place before it starts."""

    def command(launch: Launch) -> Command:
        started = _command(launch)
        config = Path(started.argv[-1])
        raw = yaml.safe_load(config.read_text())
        edit(raw)
        config.write_text(yaml.safe_dump(raw, sort_keys=False))
        return started

    return replace(PEER, command=command)


def _batching(name: str) -> Batching:
    raw = yaml.safe_load((PROJECT / "configs" / f"{name}.yaml").read_text())
    app = application(raw, name)
    tunables = app["deployments"][0].get("user_config", {})
    most = app["args"].get("max_batch_size", ModelConfig.model_fields["max_batch_size"].default)
    return Batching(tunables.get("max_batch_size") or most, 1000 * tunables.get("batch_wait_timeout_s", 0))


PEER = Peer(
    name="pitstop",
    packages=(),
    settings="the shipped configs/*.yaml in the precision of the peers, one replica",
    keeps_freed=True,
    batching={name: _batching(name) for name in ("mlp", "resnet50", "minilm")},
    command=_command,
    ready=lambda workload: f"/v2/models/{workload.name}/ready",
    codec=open_inference,
    # Until then HAProxy is reloaded for each app, and closes connections.
    announces="pitstop is ready",
    watched="ray::ServeReplica:mlp",
)
