"""Serves a plan and holds it against real load: as many replicas as this machine has room for, at their share of it.

At 50 and 80 % of what they can do at most the predictions are tested hardest; `planned` is what the user asked for.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import yaml
from rich.console import Console

from configs.problems import value_at

from ..report.terminal import plain_console
from . import choose, report
from .choose import LatencyTarget, Option
from .place import Place
from .serving import ServingError, served
from .simulate import ReplicaSetting
from .verify import Check, Verifier

# Beyond it an asyncio client on the server's own machine would measure itself.
_MOST_RPS = 1500
_HELP = "help: plan on the machine that serves, or give the server's own URL with --profile"


@dataclass(frozen=True, slots=True)
class Stage:
    """What to serve: the patched config, or the server at `url`."""

    place: Place
    option: Option
    target: LatencyTarget
    patched: str
    url: str | None
    seconds: float


def rehearse(stage: Stage, console: Console) -> bool:
    """Measure, and print predictions beside measurements; return False where Ctrl-C ended it."""
    planned = stage.option.setting.replicas
    fit = planned if stage.url else min(planned, _room(stage))
    rate = stage.target.rate_rps * fit / planned
    if fit < planned:
        text = f"{fit} of {planned} replicas, at {rate:.0f} requests a second"
        console.print(f"\nverifying {text}: the others find no room on this machine", soft_wrap=True)
    checks: list[Check] = []
    try:
        with (
            plain_console(stderr=True).status("starting the server") as line,
            _server(stage, fit, line.update) as url,
        ):
            verifier = _verifier(stage, url, replace(stage.option.setting, replicas=fit))
            console.print(f"\nbeside its forward a request takes {verifier.calibrate():.2f} ms here")
            for check in verifier.checks(_rates(stage, fit, rate), stage.seconds, line.update):
                checks.append(check)
    finally:
        if checks:
            report.show_checks(checks, console)
    return not any(check.stopped for check in checks)


def _verifier(stage: Stage, url: str, setting: ReplicaSetting) -> Verifier:
    profile = stage.option.profile
    verifier = Verifier(url, stage.place.app.config, profile, stage.target, setting)
    if verifier.device != profile.device:
        raise ServingError(f"the server runs on {verifier.device}, the plan is for {profile.device}\n{_HELP}")
    if verifier.max_batch_size not in (None, setting.max_batch_size):
        what = f"the server puts up to {verifier.max_batch_size} rows into a forward, the plan {setting.max_batch_size}"
        raise ServingError(f"{what}\nhelp: give it the plan (--write, then serve deploy), or leave out --url")
    return verifier


def _rates(stage: Stage, replicas: int, planned: float) -> dict[str, float]:
    setting = replace(stage.option.setting, replicas=replicas)
    most = choose.capacity_rps(stage.option.profile.costs, stage.target.rows, setting)
    rates = {"planned": planned, "50 %": 0.5 * most, "80 %": 0.8 * most}
    return {label: rate for label, rate in rates.items() if rate <= _MOST_RPS or label == "planned"}


@contextmanager
def _server(stage: Stage, replicas: int, tell: Callable[[str], None]) -> Iterator[str]:
    if stage.url is not None:
        yield stage.url.partition("/v2/")[0].rstrip("/")
        return
    raw: dict[str, Any] = yaml.safe_load(stage.patched)
    keys = stage.place.deployment or (*stage.place.keys, "deployments", 0)
    deployment = value_at(raw, keys)
    deployment.pop("autoscaling_config", None)
    deployment["num_replicas"] = replicas
    with served(raw, stage.place.app.config.name, tell) as url:
        yield url


def _room(stage: Stage) -> int:
    """Return the replicas that this machine has room for, with a core left for the load."""
    config = stage.place.app.config
    if stage.option.profile.device == "cuda":
        import torch

        return max(1, int(torch.cuda.device_count() / config.num_gpus))
    return max(1, int(((os.cpu_count() or 2) - 1) / config.num_cpus))
