"""Ray's HAProxy, made safe: its socket is closed to other users, and it is started again when it dies.

Serve's controller calls `install` at its start (RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH) and then starts our manager
on each node in place of Ray's. What does not fit another version of Ray is left as Ray has it, and logged.
"""

import asyncio
import ctypes
import functools
import logging
import os
import re
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import ray
from ray.serve._private import constants
from ray.serve._private import controller as _controller
from ray.serve._private import haproxy as _haproxy

# Ray's private parts, whose types are none of ours.
controller: Any = _controller
haproxy: Any = _haproxy
_log = logging.getLogger("ray.serve")
_LOOK_EVERY_S = 0.1
_AGAIN_S = 1.0
# Of the time that the controller waits for a manager to stop; the rest is for stopping it.
_FINISH_SHARE = 0.9
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_HELP = (
    "help: remove it, or let RAY_SERVE_HAPROXY_SOCKET_PATH and RAY_SERVE_HAPROXY_CONFIG_FILE_LOC name a folder of yours"
)
_STARTING = '{"error":"the server is starting: try again in 1 s"}'
_NO_ROUTES = f"""
backend default_backend
{{%- if not config.has_received_routes %}}
    http-request return status 503 content-type application/json string '{_STARTING}' hdr Retry-After 1
{{%- endif %}}
"""
# Of Ray's template: what is replaced, and by what.
CHANGES = (
    ("mode 666 level admin", "mode 600 level admin"),
    # Without routes HAProxy says 404, which tells a client not to try again.
    ("\nbackend default_backend\n", _NO_ROUTES),
)
_BASE: Any = getattr(getattr(haproxy.HAProxyManager, "__ray_metadata__", None), "modified_class", object)
_BASE = getattr(_BASE, "__ray_actor_class__", _BASE)


def install() -> None:
    """Have the controller start our manager of HAProxy; without HAProxy this changes nothing."""
    try:
        controller.HAProxyManager = ray.remote(num_cpus=0)(SupervisedHAProxy)
    except Exception:  # The controller would not start.
        _log.exception("pitstop's HAProxy manager does not fit this Ray: Ray's own is used")


class SupervisedHAProxy(_BASE):  # type: ignore[misc]  # Ray's class has no types.
    """Ray's manager. A HAProxy that died is started again here, not after three health checks of the controller."""

    def __init__(self, http_options: Any, grpc_options: Any, **given: Any) -> None:
        prepare(given["node_id"])
        super().__init__(http_options, grpc_options, **given)
        self._ending = False
        self._supervisor = self.event_loop.create_task(self._supervise())

    async def ready(self) -> str:
        try:
            return str(await super().ready())
        except RuntimeError as error:
            if "Address already in use" not in str(error):
                raise
            raise RuntimeError(_taken(str(error))) from None

    async def shutdown(self) -> None:
        """Take no new connections, let requests under way come to their end, then stop."""
        self._ending = True
        async with self._reload_lock:
            # After a reload the processes before it still hold the connections that they had.
            found = [self._haproxy._proc, *self._haproxy._old_procs]
            alive = [each for each in found if each is not None and each.returncode is None]
            for each in alive:
                each.send_signal(signal.SIGUSR1)
            limit_s = _FINISH_SHARE * constants.PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S
            if alive:
                await asyncio.wait([asyncio.ensure_future(each.wait()) for each in alive], timeout=limit_s)
        await super().shutdown()

    async def _supervise(self) -> None:
        await self._haproxy_start_task
        while not self._ending:
            await asyncio.sleep(_LOOK_EVERY_S)
            process = self._haproxy._proc
            if process is None or process.returncode is None:
                continue
            try:
                await self._start_again()
            except Exception:
                _log.exception("HAProxy did not start again")
                await asyncio.sleep(_AGAIN_S)

    async def _start_again(self) -> None:
        """Start it with the routes that it had, unless it ended because a reload has put another in its place."""
        async with self._reload_lock:
            code = self._haproxy._proc.returncode
            if not self._ending and code is not None:
                _log.error("HAProxy ended with %s: it is started again", code)
                await self._haproxy.start()


def prepare(node_id: str) -> None:
    """Change what Ray's manager is going to use in this process."""
    os.umask(0o077)
    for path in (constants.RAY_SERVE_HAPROXY_SOCKET_PATH, constants.RAY_SERVE_HAPROXY_CONFIG_FILE_LOC):
        private_folder(Path(path).parent, node_id)
    haproxy.HAPROXY_CONFIG_TEMPLATE = changed(haproxy.HAPROXY_CONFIG_TEMPLATE)
    if sys.platform == "linux":
        # A HAProxy that outlives its manager keeps the port, and no other can start.
        spawn: Any = functools.partial(asyncio.create_subprocess_exec, preexec_fn=_end_with_parent)
        asyncio.create_subprocess_exec = spawn


def changed(template: str) -> str:
    """Return Ray's template with our changes."""
    for old, new in CHANGES:
        if template.count(old) != 1:
            _log.warning("HAProxy's configuration has no %r in this Ray: it is left as it is", old.strip())
        template = template.replace(old, new)
    return template


def private_folder(base: Path, name: str) -> Path:
    """Make a folder that no other user may enter.

    Raises:
        RuntimeError: other users can replace what is in `base`, or the folder is another's.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = base / name
    folder.mkdir(mode=0o700, exist_ok=True)
    found, mode = base.stat(), base.stat().st_mode
    shared = mode & 0o022 and not mode & stat.S_ISVTX
    if found.st_uid not in (0, os.getuid()) or shared:
        raise RuntimeError(f"{base}: other users can replace HAProxy's socket and configuration there\n{_HELP}")
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to another user\n{_HELP}")
    folder.chmod(0o700)
    return folder


def _taken(output: str) -> str:
    """Return what HAProxy said of ports that are in use, in two lines."""
    wanted = sorted(set(re.findall(r"for \[(\S+:\d+)\]", output)))
    return (
        f"HAProxy cannot listen on {', '.join(wanted) or 'a port of the config'}: another program holds it\n"
        "help: end that program (`ss -ltnp` shows it; it may be an older `serve run`), or choose another port"
    )


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
