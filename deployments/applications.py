"""Turns Serve's details of the models' applications into the protocol's states. Pure: asks nobody.

serve.status() has no application's version; the details that Serve's own dashboard reads have.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .core.errors import NotReady

# Every error that we raise in a start, as Python writes it below a traceback, up to the next blank line.
_OURS = re.compile(r"^(?:[\w.]+\.)?(?:ModelError|ConfigError): (.+?)(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
# Serve's sentence on replicas that its node has no room for; another one is told as it is.
_NO_ROOM = re.compile(
    r"has (\d+) replicas that have taken more than \d+s to be scheduled.*"
    r"Resources required for each replica: ({.*?}), total resources available: ({.*?})[.,]"
)
_STATES = {"DEPLOYING": "LOADING", "NOT_STARTED": "LOADING", "DELETING": "UNLOADING"}
_REFUSED = "DEPLOY_FAILED"
_FAILED = (_REFUSED, "UNHEALTHY")
_MEANWHILE = {
    "DEPLOYING": "a change is being rolled out",
    _REFUSED: "the last change failed, and the earlier replicas answer: see the server's log",
    "UNHEALTHY": "a replica is being replaced",
}
# Replicas in these states get requests, or will within moments: UPDATING takes a new user_config, RECOVERING is found
# by a controller that was restarted.
_ANSWERING = ("RUNNING", "PENDING_MIGRATION", "UPDATING", "RECOVERING")


@dataclass(frozen=True, slots=True)
class App:
    """One model's application; `state` is the protocol's.

    READY means that its requests are answered, also during a rollout. `status` is Serve's own word. `held`: without a
    replica its requests wait for one, since it may be scaled to zero.
    """

    name: str
    version: str
    state: str
    failed: bool
    message: str
    replicas: int = 0
    canary: bool = False
    status: str = "RUNNING"
    held: bool = False
    no_room: bool = False

    @property
    def ready(self) -> bool:
        return self.state == "READY"

    @property
    def settled(self) -> bool:
        """Whether Serve has finished deploying it, successfully or not."""
        return self.status in ("RUNNING", _REFUSED)

    @property
    def reason(self) -> str:
        if self.no_room and not self.failed:
            return self.message.partition("\n")[0]
        if self.ready:
            return _MEANWHILE.get(self.status, "")
        return "see the server's log" if self.failed else self.state.lower()


def not_ready(app: App) -> NotReady:
    """Return the error for a request to a model that does not answer."""
    if app.status == _REFUSED and not app.ready:
        return NotReady(f"model {app.name!r} failed and is not served: see the server's log", ())
    state = "not reachable at the moment" if app.ready else f"{app.state.lower()}, not ready"
    return NotReady(f"model {app.name!r} is {state}: try again in 1 s")


def applications(details: Mapping[str, dict[str, Any]], nodes: int = 1) -> list[App]:
    """Return all of them, by the details that the controller has of each; `nodes` is how many are alive."""
    canary = canaries(details.values())
    return [application(name, each, name in canary, nodes) for name, each in details.items()]


def application(name: str, details: dict[str, Any], canary: bool = False, nodes: int = 1) -> App:
    status = word(details["status"])
    args = (details.get("deployed_app_config") or {}).get("args") or {}
    deployments = list(details.get("deployments", {}).values())
    no_room = _no_room(details.get("deployments", {}), nodes)
    answering = bool(deployments) and all(_answering(each, status) for each in deployments)
    return App(
        name=name,
        version=str(args.get("version", "1")),
        state="READY" if answering else _STATES.get(status, "UNAVAILABLE" if status in _FAILED else "LOADING"),
        failed=status in _FAILED and not answering,
        message=no_room or _message(details),
        replicas=sum(len(each.get("replicas", ())) for each in deployments),
        canary=canary,
        status=status,
        held=any(map(_to_zero, deployments)) and status not in _FAILED,
        no_room=bool(no_room) and status not in _FAILED,
    )


def _answering(deployment: Mapping[str, Any], status: str) -> bool:
    """Whether a request to it is answered: by a replica, or, scaled to zero, by the one that the request starts."""
    states = [word(each["state"]) for each in deployment.get("replicas", ())]
    if any(state in _ANSWERING for state in states):
        return True
    # Serve calls an application RUNNING while the autoscaler starts a replica.
    return _to_zero(deployment) and (status == "RUNNING" or deployment.get("target_num_replicas") == 0)


def _to_zero(deployment: Mapping[str, Any]) -> bool:
    scaling = (deployment.get("deployment_config") or {}).get("autoscaling_config") or {}
    return isinstance(scaling, Mapping) and scaling.get("min_replicas") == 0


def word(state: Any) -> str:
    """Return Serve's own word for a state, which is an enumeration's or a plain text."""
    return str(getattr(state, "value", state))


def canaries(apps: Iterable[dict[str, Any]]) -> set[str]:
    """Return the applications that others name as their canary: the server is ready without them."""
    deployments = (each for app in apps for each in (app.get("deployed_app_config") or {}).get("deployments") or ())
    canaries = ((each.get("user_config") or {}).get("canary") or {} for each in deployments)
    return {str(canary["application"]) for canary in canaries if "application" in canary}


def _no_room(deployments: Mapping[str, Mapping[str, Any]], nodes: int) -> str:
    """Return a sentence on the replicas that Ray cannot place, the ingress replicas too; "" where it can."""
    told = []
    for name, each in deployments.items():
        if word(each.get("status", "")) not in ("UNHEALTHY", _REFUSED) and (
            found := _NO_ROOM.search(str(each.get("message", "")))
        ):
            count, needed, free = found.groups()
            # Its process starts slowly: Serve has one sentence for both. Of several nodes it tells only the sum.
            if nodes == 1 and _fits(needed, free):
                continue
            replicas = "replica" if count == "1" else "replicas"
            left = ", nothing is free" if free == "{}" else f", free is {free}"
            told.append(f"Ray has no room for {count} {name} {replicas}: each reserves {needed}{left}")
    help_ = "lower num_cpus, num_replicas or ingress_replicas, or add a node"
    return f"{'; '.join(told)}\nhelp: {help_}" if told else ""


def _fits(needed: str, free: str) -> bool:
    """Whether what a replica needs is free; False where Serve writes it in another way."""
    try:
        wanted, left = json.loads(needed), json.loads(free)
        return all(left.get(name, 0) >= amount for name, amount in wanted.items())
    except (ValueError, TypeError, AttributeError):
        return False


def _message(details: dict[str, Any]) -> str:
    """Return Serve's message for an application; while it deploys, its deployments have more to say."""
    parts = [details.get("message"), *(each.get("message") for each in details.get("deployments", {}).values())]
    return in_short([str(part) for part in parts if part])


def in_short(messages: Sequence[str]) -> str:
    """Return only our own sentences, if one of Serve's messages has them at the end of a traceback."""
    own = [matches[-1] for message in messages if (matches := _OURS.findall(message))]
    return "\n".join(dict.fromkeys(each.strip() for each in own or messages))
