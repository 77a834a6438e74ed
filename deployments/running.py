"""What Serve runs at the moment, asked at most once a second, so that a probe costs the controller nothing.

serve.status() knows neither the port nor an application's version; the details that Serve's own dashboard reads do.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from .errors import NotFound, NotReady, show
from .serve_details import serve_details

_CACHE_S = 1.0
# A controller that is restarted is back within seconds; until then what it last said is the best there is.
_PATIENCE_S = 2.0
_STALE_S = 30.0
_EVERYWHERE = ("", "0.0.0.0", "::")
# Every error that we raise in a start, as Python writes it below a traceback, up to the next blank line.
_OURS = re.compile(r"^(?:[\w.]+\.)?(?:ModelError|ConfigError): (.+?)(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_STATES = {"DEPLOYING": "LOADING", "NOT_STARTED": "LOADING", "DELETING": "UNLOADING"}
_REFUSED = "DEPLOY_FAILED"
_FAILED = (_REFUSED, "UNHEALTHY")
_MEANWHILE = {
    "DEPLOYING": "a change is being rolled out",
    _REFUSED: "the last change failed, and the earlier replicas answer: see the server's log",
    "UNHEALTHY": "a replica is being replaced",
}
# Replicas in these states get requests, or will within moments: UPDATING takes a new user_config, RECOVERING is what a
# controller that was restarted finds.
_ANSWERING = ("RUNNING", "PENDING_MIGRATION", "UPDATING", "RECOVERING")


@dataclass(frozen=True, slots=True)
class App:
    """One model's application; `state` in the protocol's words.

    READY means that its requests are answered, whatever a rollout is doing. `status` is Serve's own word. `held`:
    without a replica its requests wait for one, since it may be scaled to zero.
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

    @property
    def ready(self) -> bool:
        return self.state == "READY"

    @property
    def settled(self) -> bool:
        """Whether Serve is done with it, well or not."""
        return self.status in ("RUNNING", _REFUSED)

    @property
    def reason(self) -> str:
        if self.ready:
            return _MEANWHILE.get(self.status, "")
        return "see the server's log" if self.failed else self.state.lower()


class Running:
    """The models' applications, all but our own."""

    def __init__(self, own_app: str) -> None:
        self._own_app = own_app
        self._apps: list[App] = []
        self._asked_s = -_CACHE_S
        self._call: asyncio.Future[dict[str, Any]] | None = None
        self._details: dict[str, Any] = {}
        self.port = 0

    async def apps(self) -> list[App]:
        """Return them by name.

        Raises:
            Exception: whatever Ray raises where the controller is away, or TimeoutError, and nothing recent is known.
        """
        age_s = time.monotonic() - self._asked_s
        if age_s >= _CACHE_S:
            try:
                await self._ask()
            except Exception:
                if age_s > _STALE_S or not self._details:
                    raise
        return self._apps

    async def _ask(self) -> None:
        """Ask the controller, once for all who want to know; a call that hangs is never made twice."""
        call = self._call
        if call is None:
            call = self._call = asyncio.ensure_future(asyncio.to_thread(serve_details))
            call.add_done_callback(self._learn)
        await asyncio.wait_for(asyncio.shield(call), _PATIENCE_S)

    def _learn(self, call: "asyncio.Future[dict[str, Any]]") -> None:
        self._call = None
        if call.cancelled() or call.exception() is not None:
            return
        self._details, self._asked_s = call.result(), time.monotonic()
        self.port = int(self._details["http_options"]["port"])
        found = self._details["applications"]
        canaries = _canaries(found.values())
        self._apps = [_app(name, found[name], name in canaries) for name in sorted(found) if name != self._own_app]

    async def absent(self, name: str) -> NotFound | NotReady:
        """Say why a model does not answer: it is not here, or not ready."""
        try:
            apps = await self.apps()
        except Exception:  # What is told stays true without its hint.
            return NotFound(f"there is no model {show(name)} here")
        for app in apps:
            if app.name == name:
                return not_ready(app)
        return NotFound(
            f"there is no model {show(name)} here; the models are: {', '.join(app.name for app in apps) or 'none'}"
        )

    async def http_address(self) -> tuple[str, int]:
        """Return where Serve's HTTP port is: on this node, or where it has no proxy, on one that has."""
        await self.apps()
        proxies = self._details.get("proxies") or {}
        host = self._details["http_options"]["host"]
        if proxies and ray.get_runtime_context().get_node_id() not in proxies:
            host = next(iter(proxies.values()))["node_ip"]
        return "127.0.0.1" if host in _EVERYWHERE else host, self.port


def not_ready(app: App) -> NotReady:
    """Return what a client is told that asks a model which does not answer."""
    if app.status == _REFUSED and not app.ready:
        return NotReady(f"model {app.name!r} failed and is not served: see the server's log", ())
    state = "not reachable at the moment" if app.ready else f"{app.state.lower()}, not ready"
    return NotReady(f"model {app.name!r} is {state}: try again in 1 s")


def _app(name: str, found: dict[str, Any], canary: bool = False) -> App:
    status = _word(found["status"])
    args = (found.get("deployed_app_config") or {}).get("args") or {}
    deployments = list(found.get("deployments", {}).values())
    answering = bool(deployments) and all(_answering(each, status) for each in deployments)
    return App(
        name=name,
        version=str(args.get("version", "1")),
        state="READY" if answering else _STATES.get(status, "UNAVAILABLE" if status in _FAILED else "LOADING"),
        failed=status in _FAILED and not answering,
        message=_message(found),
        replicas=sum(len(each.get("replicas", ())) for each in deployments),
        canary=canary,
        status=status,
        held=any(map(_to_zero, deployments)) and status not in _FAILED,
    )


def _answering(deployment: Mapping[str, Any], status: str) -> bool:
    """Whether a request to it is answered: by a replica, or where it is scaled to zero by the one that it starts."""
    states = [_word(each["state"]) for each in deployment.get("replicas", ())]
    if any(state in _ANSWERING for state in states):
        return True
    # Serve calls an application RUNNING while the autoscaler starts a replica.
    return _to_zero(deployment) and (status == "RUNNING" or deployment.get("target_num_replicas") == 0)


def _to_zero(deployment: Mapping[str, Any]) -> bool:
    scaling = (deployment.get("deployment_config") or {}).get("autoscaling_config") or {}
    return isinstance(scaling, Mapping) and scaling.get("min_replicas") == 0


def _word(state: Any) -> str:
    return str(getattr(state, "value", state))


def _canaries(apps: Iterable[dict[str, Any]]) -> set[str]:
    """Return the applications that others name as their canary: without them, the server is still ready."""
    deployments = (each for app in apps for each in (app.get("deployed_app_config") or {}).get("deployments") or ())
    canaries = ((each.get("user_config") or {}).get("canary") or {} for each in deployments)
    return {str(canary["application"]) for canary in canaries if "application" in canary}


def _message(found: dict[str, Any]) -> str:
    """Return what Serve says of an application; while it deploys, its deployments know more than itself."""
    parts = [found.get("message"), *(each.get("message") for each in found.get("deployments", {}).values())]
    return in_short([str(part) for part in parts if part])


def in_short(messages: Sequence[str]) -> str:
    """Return our own sentences alone, where any of Serve's messages has them at the end of a traceback."""
    own = [found[-1] for message in messages if (found := _OURS.findall(message))]
    return "\n".join(dict.fromkeys(each.strip() for each in own or messages))
