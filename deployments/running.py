"""What Serve runs at the moment, asked at most once a second, so that a probe costs the controller nothing.

serve.status() knows neither the port nor an application's version; the details that Serve's own dashboard reads do.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from ray.serve.context import _get_global_client

_CACHE_S = 1.0
_STATES = {"RUNNING": "READY", "DEPLOYING": "LOADING", "NOT_STARTED": "LOADING", "DELETING": "UNLOADING"}


@dataclass(frozen=True, slots=True)
class App:
    """One model's application; `state` in the protocol's words."""

    name: str
    version: str
    state: str
    failed: bool
    message: str

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
        self.port = 0

    async def apps(self) -> list[App]:
        """Return them by name; raises whatever Ray raises where the controller is away."""
        async with self._asking:
            if time.monotonic() - self._asked_s >= _CACHE_S:
                details = await asyncio.to_thread(_details)
                self.port = int(details["http_options"]["port"])
                self._apps = [
                    _app(name, found)
                    for name, found in sorted(details["applications"].items())
                    if name != self._own_app
                ]
                self._asked_s = time.monotonic()
            return self._apps


def _details() -> dict[str, Any]:
    client: Any = _get_global_client()
    details: dict[str, Any] = client.get_serve_details()
    return details


def _app(name: str, found: dict[str, Any]) -> App:
    status = str(getattr(found["status"], "value", found["status"]))
    args = (found.get("deployed_app_config") or {}).get("args") or {}
    return App(
        name=name,
        version=str(args.get("version", "1")),
        state=_STATES.get(status, "UNAVAILABLE"),
        failed=status in ("DEPLOY_FAILED", "UNHEALTHY"),
        message=str(found.get("message", "")),
    )
