"""What Serve runs at the moment, asked at most once a second, so that a probe costs the controller nothing.

serve.status() knows neither the port nor an application's version; the details that Serve's own dashboard reads do.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.serve.context import _get_global_client

from .errors import NotFound, NotReady, show

_CACHE_S = 1.0
_EVERYWHERE = ("", "0.0.0.0", "::")
# Every error that we raise in a start, as Python writes it below a traceback, up to the next blank line.
_OURS = re.compile(r"^(?:[\w.]+\.)?(?:ModelError|ConfigError): (.+?)(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_STATES = {"RUNNING": "READY", "DEPLOYING": "LOADING", "NOT_STARTED": "LOADING", "DELETING": "UNLOADING"}


@dataclass(frozen=True, slots=True)
class App:
    """One model's application; `state` in the protocol's words."""

    name: str
    version: str
    state: str
    failed: bool
    message: str
    replicas: int = 0
    canary: bool = False

    @property
    def ready(self) -> bool:
        return self.state == "READY"

    @property
    def reason(self) -> str:
        return "" if self.ready else "see the server's log" if self.failed else self.state.lower()


class Running:
    """The models' applications, all but our own."""

    def __init__(self, own_app: str) -> None:
        self._own_app = own_app
        self._apps: list[App] = []
        self._asked_s = -_CACHE_S
        self._asking = asyncio.Lock()
        self._details: dict[str, Any] = {}
        self.port = 0

    async def apps(self) -> list[App]:
        """Return them by name; raises whatever Ray raises where the controller is away."""
        async with self._asking:
            if time.monotonic() - self._asked_s >= _CACHE_S:
                self._details = await asyncio.to_thread(_details)
                self.port = int(self._details["http_options"]["port"])
                found = self._details["applications"]
                canaries = _canaries(found.values())
                self._apps = [
                    _app(name, found[name], name in canaries) for name in sorted(found) if name != self._own_app
                ]
                self._asked_s = time.monotonic()
            return self._apps

    async def absent(self, name: str) -> NotFound | NotReady:
        """Say why a model does not answer: it is not here, or not ready."""
        try:
            apps = await self.apps()
        except Exception:  # What is told stays true without its hint.
            return NotFound(f"there is no model {show(name)} here")
        for app in apps:
            if app.name == name:
                state = "not reached at the moment" if app.ready else f"{app.state.lower()}, not ready"
                return NotReady(f"model {name!r} is {state}: try again")
        return NotFound(
            f"there is no model {show(name)} here; there is {', '.join(app.name for app in apps) or 'none'}"
        )

    async def http_address(self) -> tuple[str, int]:
        """Return where Serve's HTTP port is: on this node, or where it has no proxy, on one that has."""
        await self.apps()
        proxies = self._details.get("proxies") or {}
        host = self._details["http_options"]["host"]
        if proxies and ray.get_runtime_context().get_node_id() not in proxies:
            host = next(iter(proxies.values()))["node_ip"]
        return "127.0.0.1" if host in _EVERYWHERE else host, self.port


def _details() -> dict[str, Any]:
    client: Any = _get_global_client()
    details: dict[str, Any] = client.get_serve_details()
    return details


def _app(name: str, found: dict[str, Any], canary: bool = False) -> App:
    status = str(getattr(found["status"], "value", found["status"]))
    args = (found.get("deployed_app_config") or {}).get("args") or {}
    return App(
        name=name,
        version=str(args.get("version", "1")),
        state=_STATES.get(status, "UNAVAILABLE"),
        failed=status in ("DEPLOY_FAILED", "UNHEALTHY"),
        message=_message(found),
        replicas=sum(len(each.get("replicas", ())) for each in found.get("deployments", {}).values()),
        canary=canary,
    )


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
