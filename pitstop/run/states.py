"""The states of a config's applications, as deployments/serve_process.py tells them, and what is new in them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from configs.lint.applications import ROOT

Kind = Literal["ready", "failed", "kept", "no_room"]


@dataclass(frozen=True, slots=True)
class State:
    """One application. `ready`: it answers, perhaps by replicas from before a change; `settled`: nothing is on its way.

    `status` is Serve's own word, `failed` that nothing answers and no start is on its way.
    """

    name: str
    status: str
    ready: bool
    settled: bool
    failed: bool
    no_room: bool = False
    message: str = ""
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class News:
    """What has come of an application.

    ready: it answers; failed: it does not, and `message` says why; kept: a change failed, and the version from before
    it answers; no_room: Ray has no place for a replica yet.
    """

    kind: Kind
    name: str
    message: str = ""


def states(told: Sequence[Mapping[str, Any]]) -> dict[str, State]:
    """Return the states by application."""
    known = [field.name for field in fields(State)]
    return {each["name"]: State(**{name: each[name] for name in known}) for each in told}


def news(before: Mapping[str, State], now: Mapping[str, State]) -> list[News]:
    """Return what is new in the states."""
    found = (_news(before.get(name), state) for name, state in now.items())
    return [each for each in found if each is not None]


def _news(before: State | None, now: State) -> News | None:
    if before is not None and _kind(before) == _kind(now):
        return None
    kind = _kind(now)
    return None if kind is None else News(kind, now.name, now.message)


def _kind(state: State) -> Kind | None:
    """Return what there is to say of a state; None while it is on its way."""
    if state.failed:
        return "failed"
    if state.no_room:
        return "no_room"
    if not (state.ready and state.settled):
        return None
    return "kept" if state.status == "DEPLOY_FAILED" else "ready"


def own_pages(raw: Mapping[str, Any]) -> set[str]:
    """Return the names of the root applications, which are no models."""
    return {str(app.get("name")) for app in raw["applications"] if app.get("import_path") == ROOT}
