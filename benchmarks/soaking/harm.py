"""What is done to the server meanwhile, drawn from a seed: the same seed does the same harm in the same order."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from configs.document import application

from ..reliability.load import Load, loaded
from ..reliability.questions import Questions
from ..reliability.server_under_test import ServerUnderTest, until
from ..reliability.service import Config, to_version
from .streams import MODELS, VERSIONS

_PAUSE_S = (20.0, 50.0)
_WELL_S = 120.0
_BURST_S, _BURST = 5.0, 3.0


@dataclass(frozen=True, slots=True)
class Harm:
    """One thing to do, so many seconds after the one before was over."""

    kind: str
    model: str
    pause_s: float
    draw: int


def plan(seed: int) -> Iterator[Harm]:
    """Yield what to do, for ever."""
    chance = random.Random(seed)
    while True:
        kind = chance.choice(list(_KINDS))
        yield Harm(kind, chance.choice(MODELS), chance.uniform(*_PAUSE_S), chance.randrange(1 << 16))


def do(harm: Harm, tested: ServerUnderTest) -> dict[str, Any]:
    """Do it, and wait until as many replicas run as should; return what happened."""
    began = time.monotonic()
    found = _KINDS[harm.kind](harm, tested)

    def well() -> bool:
        return tested.state(harm.model) == "RUNNING" and len(tested.replicas(harm.model)) == tested.options.replicas

    back = until(well, _WELL_S)
    return {**found, "recovered_s": time.monotonic() - began if back else None}


def _kill(harm: Harm, tested: ServerUnderTest) -> dict[str, Any]:
    replicas = sorted(tested.pids(harm.model))
    if replicas:
        gone = replicas[harm.draw % len(replicas)]
        os.kill(gone, signal.SIGKILL)
        until(lambda: gone not in tested.pids(harm.model), _WELL_S)
    return {}


def _roll_out(harm: Harm, tested: ServerUnderTest) -> dict[str, Any]:
    version = VERSIONS[harm.draw % len(VERSIONS)]
    tested.deploy(to_version(tested.folder, version, harm.model))
    return {"version": version}


def _settings(harm: Harm, tested: ServerUnderTest) -> dict[str, Any]:
    def edit(raw: Config) -> None:
        application(raw, harm.model)["deployments"][0]["user_config"]["batch_wait_timeout_s"] = harm.draw % 5 / 1000

    tested.deploy(edit)
    return {"batch_wait_timeout_s": harm.draw % 5 / 1000}


def _burst(harm: Harm, tested: ServerUnderTest) -> dict[str, Any]:
    questions = Questions(tested.target(harm.model), "json", VERSIONS)
    load = Load(questions, _BURST * tested.options.capacity_rps / tested.options.replicas, harm.draw)
    with loaded(load):
        time.sleep(_BURST_S)
    refused = load.errors["HTTP 503"]
    others = {kind: count for kind, count in load.errors.items() if kind != "HTTP 503"}
    return {"sent": load.sent, "refused": refused, "wrong": load.wrong, "errors": others}


_KINDS: dict[str, Callable[[Harm, ServerUnderTest], dict[str, Any]]] = {
    "replica killed": _kill,
    "rollout": _roll_out,
    "settings": _settings,
    "burst": _burst,
}
