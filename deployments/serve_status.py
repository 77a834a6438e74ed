"""Which applications Serve runs now, asked at most once a second, so that probes cost the controller nothing.

serve.status() does not have the port; the details that Serve's own dashboard reads have.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import ray

from .applications import App, applications, not_ready
from .core.errors import NotFound, NotReady, show
from .serve_details import serve_details

_CACHE_S = 1.0
# A restarted controller is back within seconds; until then its last answer is used.
_PATIENCE_S = 2.0
_STALE_S = 30.0
_EVERYWHERE = ("", "0.0.0.0", "::")


class ServeStatus:
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
        """Ask the controller, once for all waiting callers; while a call hangs, no second one is made."""
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
        found = applications(self._details["applications"], self._details["nodes"])
        self._apps = sorted((each for each in found if each.name != self._own_app), key=lambda each: each.name)

    def config_of(self, name: str) -> Mapping[str, Any]:
        """Return an application's entry in the YAML that was deployed last; {} where Serve does not tell."""
        return (self._details.get("applications") or {}).get(name, {}).get("deployed_app_config") or {}

    async def absent(self, name: str) -> NotFound | NotReady:
        """Say why a model does not answer: it is not here, or not ready."""
        try:
            apps = await self.apps()
        except Exception:  # The error is right without its hint.
            return NotFound(f"there is no model {show(name)} here")
        for app in apps:
            if app.name == name:
                return not_ready(app)
        return NotFound(
            f"there is no model {show(name)} here; the models are: {', '.join(app.name for app in apps) or 'none'}"
        )

    async def http_address(self) -> tuple[str, int]:
        """Return the address of Serve's HTTP port: on this node, or on another if this one has no proxy."""
        await self.apps()
        proxies = self._details.get("proxies") or {}
        host = self._details["http_options"]["host"]
        if proxies and ray.get_runtime_context().get_node_id() not in proxies:
            host = next(iter(proxies.values()))["node_ip"]
        return "127.0.0.1" if host in _EVERYWHERE else host, self.port
