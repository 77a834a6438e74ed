"""What is changed on purpose while requests come: weights, settings, the number of replicas; and changes gone wrong."""

import time
from functools import partial
from pathlib import Path
from typing import Any

from configs.document import application
from models.sources.files import digest

from .case import RATE_RPS, Case, disturbed, steady
from .faults import GUARDED
from .server_under_test import PITSTOP, ServerUnderTest, until
from .service import NAME, Config, ServiceOptions, save_weights, to_version

_DEPLOYED_S = 120.0
_LOAD = f"{RATE_RPS:.0f} requests/s"
_FAILED = ("DEPLOY_FAILED", "UNHEALTHY")


def new_weights(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Roll out other weights; each answer must be wholly of the one version or of the other."""
    load = steady(tested, (1, 2))
    found = _changed(tested, load, to_version(tested.folder, 2), seconds)
    note = f"{load.questions.seen[1]} answers of the old version, {load.questions.seen[2]} of the new one"
    back = _changed(tested, steady(tested, (1, 2)), to_version(tested.folder, 1), 0.0)
    return {**found, "note": note, "wrong": found["wrong"] + back["wrong"]}


def _changed(tested: ServerUnderTest, load: Any, edit: Any, seconds: float) -> dict[str, Any]:
    before = tested.pids()

    def restored() -> bool:
        found = tested.pids()
        return len(found) == len(before) and not found & before and tested.state() == "RUNNING"

    return disturbed(load, lambda: tested.deploy(edit), restored, seconds, _DEPLOYED_S)


def damaged_weights(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Roll out a file that is not the one that was meant."""
    good, swapped = save_weights(tested.folder, 2), save_weights(tested.folder, 9)
    meant = digest(good)
    good.write_bytes(_claiming(2, swapped))

    def edit(raw: Config) -> None:
        to_version(tested.folder, 2)(raw)
        if "source" in application(raw, NAME)["args"]:
            application(raw, NAME)["args"]["source"]["sha256"] = meant

    try:
        return _refused(tested, edit, seconds)
    finally:
        good.unlink()


def _claiming(version: int, other: Path) -> bytes:
    """Return other weights that call themselves by this version."""
    import torch
    from safetensors.torch import load_file, save

    tensors = load_file(other)
    tensors["version"] = torch.tensor([float(version)])
    return bytes(save(tensors))


def failed_parity(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Roll out a precision whose answers are further off than is allowed."""

    def edit(raw: Config) -> None:
        args = application(raw, NAME)["args"]
        args |= {"precision": "bf16", "tolerance": 1e-6} if "source" in args else {"bf16": True}

    return _refused(tested, edit, seconds)


def _refused(tested: ServerUnderTest, edit: Any, seconds: float) -> dict[str, Any]:
    """Hand in a version that must not serve; then the good one again."""
    before = tested.pids()
    good = tested.config.read_text()
    load = steady(tested)

    def settled() -> bool:
        pids = tested.pids()
        return tested.state() in _FAILED or (len(pids) == len(before) and not pids & before)

    found = disturbed(load, lambda: tested.deploy(edit), settled, seconds, _DEPLOYED_S)
    refused = tested.state() in _FAILED
    kept = before <= tested.pids()
    tested.config.write_text(good)
    tested.deploy(lambda _: None)
    until(lambda: tested.state() == "RUNNING" and tested.answers(), _DEPLOYED_S)
    note = "refused, the old replicas went on" if refused and kept else "refused" if refused else "it went live"
    return {**found, "recovered_s": None if not refused else load.recovered_s(), "note": note}


def settings(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Change the tunables three times; the replicas stay."""
    before = tested.pids()

    def fault() -> None:
        for wait_s in (0.005, 0.001, 0):
            tested.deploy(partial(_wait, wait_s))
            until(lambda: tested.state() == "RUNNING", _DEPLOYED_S)

    found = disturbed(steady(tested), fault, lambda: tested.state() == "RUNNING", seconds, _DEPLOYED_S)
    stayed = tested.pids() == before
    return {**found, "note": "same replicas" if stayed else "replicas were replaced"}


def _wait(wait_s: float, raw: Config) -> None:
    application(raw, NAME)["deployments"][0]["user_config"]["batch_wait_timeout_s"] = wait_s


def scaled(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Take one of two replicas away, then give it back."""

    def to(count: int) -> None:
        tested.deploy(lambda raw: application(raw, NAME)["deployments"][0].update(num_replicas=count))
        until(lambda: len(tested.replicas()) == count and tested.state() == "RUNNING", _DEPLOYED_S)

    def fault() -> None:
        to(1)
        time.sleep(min(3.0, seconds / 4))
        to(2)

    return disturbed(steady(tested), fault, lambda: len(tested.replicas()) == 2, seconds, _DEPLOYED_S)


def full_disk(tested: ServerUnderTest, seconds: float) -> dict[str, Any]:
    """Roll out with no byte left where artefacts are kept; the start before had none either."""
    load = steady(tested, (1, 2))
    found = _changed(tested, load, to_version(tested.folder, 2), seconds)
    return {**found, "note": "started and rolled out without keeping artefacts"}


_KEPT = {"backend": "torchscript", "source": {"factory": "benchmarks.reliability.model:Line"}}

CASES = (
    Case("new-weights", "new weights rolled out over two replicas", _LOAD, new_weights, GUARDED),
    Case(
        "damaged-weights",
        "a rollout whose weights are not those that were meant",
        _LOAD,
        damaged_weights,
        GUARDED,
    ),
    Case("failed-parity", "a rollout to a precision that is too coarse", _LOAD, failed_parity, GUARDED),
    Case("settings", "`user_config` changed three times", _LOAD, settings, GUARDED, (PITSTOP,)),
    Case("scale-down", "two replicas scaled to one and back", _LOAD, scaled, GUARDED),
    Case(
        "full-disk",
        "the disk of the artefact cache is full, at a start and a rollout",
        _LOAD,
        full_disk,
        ServiceOptions(full_disk=True, args=_KEPT),
        (PITSTOP,),
    ),
)
