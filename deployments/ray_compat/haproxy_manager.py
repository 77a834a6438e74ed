"""Our manager of HAProxy, derived from Ray's: imported only where Ray's is as expected."""

import asyncio
import csv
import functools
import logging
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.serve._private import constants
from ray.serve._private import haproxy as _haproxy

from ..haproxy_safety import changed, end_with_parent, port_taken, private_folder
from ..tcp_connections import has_request, listening
from .names import without_actor

haproxy: Any = _haproxy  # Its types are none of ours.
_log = logging.getLogger("ray.serve")
_LOOK_EVERY_S = 0.1
_AGAIN_S = 1.0
_IDLE_S = 0.5
_PROMPT = b"\n> "
_MOST_BYTES = 2**26
Asked = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# Of the time that the controller waits for a manager to stop; the rest is for stopping it.
_FINISH_SHARE = 0.9
_BASE: Any = without_actor(haproxy.HAProxyManager)


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
            raise RuntimeError(port_taken(str(error))) from None

    async def shutdown(self) -> None:
        """Take no new connections, let requests under way come to their end, then stop."""
        self._ending = True
        async with self._reload_lock:
            # After a reload the processes before it still hold the connections that they had.
            newest, older = self._haproxy._proc, self._haproxy._old_procs
            alive = [each for each in (newest, *older) if each is not None and each.returncode is None]
            # After the signal it takes no new connection here either, and listens no more.
            asked = await self._connect()
            ports = set[int]()
            if newest in alive:
                with suppress(OSError):
                    ports = listening(newest.pid)
            for each in alive:
                each.send_signal(signal.SIGUSR1)
            limit_s = _FINISH_SHARE * constants.PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    waits = (self._done(each, asked if each is newest else None, ports) for each in alive)
                    await asyncio.gather(*waits)
            if asked:
                asked[1].close()
        await super().shutdown()

    async def _connect(self) -> Asked | None:
        """Open the admin socket of the newest process for several questions; None if it does not answer."""
        with suppress(Exception):
            async with asyncio.timeout(_AGAIN_S):
                reader, writer = await asyncio.open_unix_connection(self._haproxy.cfg.socket_path, limit=_MOST_BYTES)
                writer.write(b"prompt\n")
                await reader.readuntil(_PROMPT)
                return reader, writer
        return None

    async def _done(self, process: Any, asked: Asked | None, ports: set[int]) -> None:
        """Return once a process has ended, or has had no request for a while.

        It would keep a connection of a client that sends nothing, such as a browser's, until its time is over. The
        newest can be asked. Those before it listen nowhere, but their connections tell, as they get no new ones.
        """
        before, since = None, self.event_loop.time()
        with suppress(Exception):  # It has ended, or says no more.
            while True:
                if asked:
                    under_way, all_so_far = await _sessions(*asked)
                else:
                    under_way, all_so_far = has_request(process.pid, ports), 0
                now = self.event_loop.time()
                if under_way or all_so_far != before:
                    before, since = all_so_far, now
                elif now - since >= _IDLE_S:
                    return
                await asyncio.sleep(_LOOK_EVERY_S)
        await process.wait()

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


async def _sessions(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, int]:
    """Return how many requests are under way, and how many there were since HAProxy's start."""
    writer.write(b"show stat\n")
    text = (await reader.readuntil(_PROMPT)).decode().removesuffix(_PROMPT.decode())
    rows = [row for row in csv.DictReader(text.lstrip("# ").splitlines()) if row["svname"] == "BACKEND"]
    return _sum(rows, "scur"), _sum(rows, "stot")


def _sum(rows: Iterable[Mapping[str, str]], key: str) -> int:
    return sum(int(row[key]) for row in rows)


def prepare(node_id: str) -> None:
    """Change what Ray's manager is going to use in this process."""
    os.umask(0o077)
    for path in (constants.RAY_SERVE_HAPROXY_SOCKET_PATH, constants.RAY_SERVE_HAPROXY_CONFIG_FILE_LOC):
        private_folder(Path(path).parent, node_id)
    haproxy.HAPROXY_CONFIG_TEMPLATE = changed(haproxy.HAPROXY_CONFIG_TEMPLATE)
    if sys.platform == "linux":
        # A HAProxy that outlives its manager keeps the port, and no other can start.
        spawn: Any = functools.partial(asyncio.create_subprocess_exec, preexec_fn=end_with_parent)
        asyncio.create_subprocess_exec = spawn
