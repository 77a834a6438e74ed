"""What is changed on purpose while requests come: weights, settings, the number of replicas; and changes gone wrong."""

import time
from functools import partial
from pathlib import Path
from typing import Any

from configs.document import application
from models.sources.files import digest

from .case import RATE_RPS, Case, disturbed, steady
from .faults import GUARDED
from .service import NAME, Config, Wish, save_weights, to_version
from .stand import PITSTOP, Stand, until

_DEPLOYED_S = 120.0
_LOAD = f"{RATE_RPS:.0f} requests/s"
_FAILED = ("DEPLOY_FAILED", "UNHEALTHY")


def new_weights(stand: Stand, seconds: float) -> dict[str, Any]:
    """Roll out other weights; each answer must be wholly of the one version or of the other."""
    load = steady(stand, (1, 2))
    found = _changed(stand, load, to_version(stand.folder, 2), seconds)
    note = f"{load.questions.seen[1]} answers of the old version, {load.questions.seen[2]} of the new one"
    back = _changed(stand, steady(stand, (1, 2)), to_version(stand.folder, 1), 0.0)
    return {**found, "note": note, "wrong": found["wrong"] + back["wrong"]}


def _changed(stand: Stand, load: Any, edit: Any, seconds: float) -> dict[str, Any]:
    before = {each.pid for each in stand.replicas()}

    def restored() -> bool:
        found = {each.pid for each in stand.replicas()}
        return len(found) == len(before) and not found & before and stand.state() == "RUNNING"

    return disturbed(load, lambda: stand.deploy(edit), restored, seconds, _DEPLOYED_S)


def damaged_weights(stand: Stand, seconds: float) -> dict[str, Any]:
    """Roll out a file that is not the one that was meant."""
    good, swapped = save_weights(stand.folder, 2), save_weights(stand.folder, 9)
    meant = digest(good)
    good.write_bytes(_claiming(2, swapped))

    def edit(raw: Config) -> None:
        to_version(stand.folder, 2)(raw)
        if "source" in application(raw, NAME)["args"]:
            application(raw, NAME)["args"]["source"]["sha256"] = meant

    try:
        return _refused(stand, edit, seconds)
    finally:
        good.unlink()


def _claiming(version: int, other: Path) -> bytes:
    """Return other weights that call themselves by this version."""
    import torch
    from safetensors.torch import load_file, save

    tensors = load_file(other)
    tensors["version"] = torch.tensor([float(version)])
    return bytes(save(tensors))


def failed_parity(stand: Stand, seconds: float) -> dict[str, Any]:
    """Roll out a precision whose answers are further off than is allowed."""

    def edit(raw: Config) -> None:
        args = application(raw, NAME)["args"]
        args |= {"precision": "bf16", "tolerance": 1e-6} if "source" in args else {"bf16": True}

    return _refused(stand, edit, seconds)


def _refused(stand: Stand, edit: Any, seconds: float) -> dict[str, Any]:
    """Hand in a version that must not serve; then the good one again."""
    before = {each.pid for each in stand.replicas()}
    good = stand.config.read_text()
    load = steady(stand)

    def settled() -> bool:
        pids = {each.pid for each in stand.replicas()}
        return stand.state() in _FAILED or (len(pids) == len(before) and not pids & before)

    found = disturbed(load, lambda: stand.deploy(edit), settled, seconds, _DEPLOYED_S)
    refused = stand.state() in _FAILED
    kept = before <= {each.pid for each in stand.replicas()}
    stand.config.write_text(good)
    stand.deploy(lambda _: None)
    until(lambda: stand.state() == "RUNNING" and stand.answers(), _DEPLOYED_S)
    note = "refused, the old replicas went on" if refused and kept else "refused" if refused else "it went live"
    return {**found, "recovered_s": None if not refused else load.recovered_s(), "note": note}


def settings(stand: Stand, seconds: float) -> dict[str, Any]:
    """Change the tunables three times; the replicas stay."""
    before = {each.pid for each in stand.replicas()}

    def fault() -> None:
        for wait_s in (0.005, 0.001, 0):
            stand.deploy(partial(_wait, wait_s))
            until(lambda: stand.state() == "RUNNING", _DEPLOYED_S)

    found = disturbed(steady(stand), fault, lambda: stand.state() == "RUNNING", seconds, _DEPLOYED_S)
    stayed = {each.pid for each in stand.replicas()} == before
    return {**found, "note": "same replicas" if stayed else "replicas were replaced"}


def _wait(wait_s: float, raw: Config) -> None:
    application(raw, NAME)["deployments"][0]["user_config"]["batch_wait_timeout_s"] = wait_s


def scaled(stand: Stand, seconds: float) -> dict[str, Any]:
    """Take one of two replicas away, then give it back."""

    def to(count: int) -> None:
        stand.deploy(lambda raw: application(raw, NAME)["deployments"][0].update(num_replicas=count))
        until(lambda: len(stand.replicas()) == count and stand.state() == "RUNNING", _DEPLOYED_S)

    def fault() -> None:
        to(1)
        time.sleep(min(3.0, seconds / 4))
        to(2)

    return disturbed(steady(stand), fault, lambda: len(stand.replicas()) == 2, seconds, _DEPLOYED_S)


def full_disk(stand: Stand, seconds: float) -> dict[str, Any]:
    """Roll out with no byte left where artefacts are kept; the start before had none either."""
    load = steady(stand, (1, 2))
    found = _changed(stand, load, to_version(stand.folder, 2), seconds)
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
        Wish(full_disk=True, args=_KEPT),
        (PITSTOP,),
    ),
)
