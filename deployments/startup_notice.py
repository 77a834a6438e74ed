"""Tells the terminal of `serve run` that all models are ready, or which one is not, and why.

`serve run` itself prints nothing when an application fails, or waits for a GPU that is not there. `pitstop run` asks
Serve by itself (serve_process.py), and has this in Ray's log.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from .applications import App

_LOOK_EVERY_S = 0.25
_PATIENCE_LOOKS = 100
_log = logging.getLogger("pitstop")


class Applications(Protocol):
    """Knows the port and the applications; serve_status.ServeStatus is one."""

    @property
    def port(self) -> int: ...

    async def apps(self) -> list[App]: ...


async def announce(
    applications: Applications,
    say: Callable[[str], object],
    dashboard: str = "",
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Watch until every model is ready or has failed, and say so once, with the line of Ray's dashboard.

    Until then, log the models that take long.
    """
    failed: set[str] = set()
    without_room: set[str] = set()
    looks = 0
    while True:
        await pause(_LOOK_EVERY_S)
        looks += 1
        try:
            apps = await applications.apps()
        except Exception:  # Serve may still be starting; ask again.
            continue
        for app in apps:
            if app.failed and app.name not in failed:
                failed.add(app.name)
                # Ray deduplicates log lines across processes, and the replica logs the same text; the name in front
                # makes each line unique.
                lines = [f"  {app.name}: {line}" for line in app.message.splitlines()]
                _log.error("%s will not be served:\n%s", app.name, "\n".join(lines))
        waiting = [app for app in apps if not ((app.ready and app.settled) or app.name in failed)]
        if apps and not waiting:
            break
        for app in waiting:
            if looks % _PATIENCE_LOOKS == 0 or (app.no_room and app.name not in without_room):
                without_room |= {app.name} if app.no_room else set()
                _log.warning("still waiting for %s: %s", app.name, app.message or "Serve gives no reason")
    ready = _ready_line([app for app in apps if app.ready], sorted(failed), applications.port)
    # Ray's own line with the address is far above by now, and names no token.
    say(f"{ready}\n  {dashboard}" if dashboard else ready)


def to_terminal(text: str) -> None:
    """Write to the real stderr: Serve moves what a replica prints into its log."""
    sys.__stderr__.write(text + "\n")  # type: ignore[union-attr]
    sys.__stderr__.flush()  # type: ignore[union-attr]


def _ready_line(ready: Sequence[App], failed: Sequence[str], port: int) -> str:
    names = [app.name for app in ready]
    without = f", without {', '.join(failed)}" if failed else ""
    if not names:
        return f"pitstop: no model started{without}. See the errors above."
    return f"pitstop is ready: {', '.join(names)}{without}\n  try: curl localhost:{port}/v2/models/{names[0]}"
