"""The process that holds Ray and Serve: deployments/serve_process.py. Asked by lines, it tells by lines.

It and all that it starts carry a mark (processes.py), so that the end of a run leaves no process behind.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from .. import processes
from ..isolated_server import spawn
from ..project import PROJECT

# Kind and content; `ended` has the exit status.
Put = Callable[[tuple[str, Any]], object]
_MODULE = "deployments.serve_process"
_GONE_S = 5.0


class Server:
    """A server that runs, or is on its way; `put` gets what it tells, `heard` each line of Ray's log."""

    def __init__(self, config: Path, put: Put, heard: Callable[[str], object]) -> None:
        # Not the name of a mark that this process itself may have.
        mark = processes.new_mark("PITSTOP_SERVER")
        told, tells = os.pipe()
        argv = [sys.executable, "-P", "-m", _MODULE, str(tells), str(config)]
        self._process = spawn(argv, _environment(mark), subprocess.PIPE, Path.cwd(), into=subprocess.PIPE, kept=[tells])
        self._followed = processes.Followed(self._process, mark)
        os.close(tells)
        works = (lambda: self._listen(told, put)), (lambda: self._read(heard))
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        for each in self._threads:
            each.start()

    def send(self, command: str) -> None:
        """Ask for something: `deploy CONFIG` or `stop`."""
        pipe: IO[str] | None = self._process.stdin
        with suppress(OSError, ValueError):  # It has ended, and says so itself.
            if pipe is not None:
                pipe.write(command + "\n")
                pipe.flush()

    def haproxies(self) -> set[int]:
        """Return the HAProxies, those too that only finish requests from before a reload."""
        return {pid for pid, line in self._followed.left().items() if "haproxy" in line and " -f " in line}

    def has_own_ray(self) -> bool:
        """Whether Ray is among its processes, and no cluster that was there before."""
        return processes.named(self._followed.left(), "gcs_server") is not None

    def kill(self) -> None:
        """End whatever is still there, without asking."""
        deadline = time.monotonic() + _GONE_S
        while (left := self._followed.left()) and time.monotonic() < deadline:
            processes.kill(left)
            time.sleep(0.02)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for each in self._threads:
            # What it printed last is in the log by then.
            each.join(_GONE_S)

    def _listen(self, told: int, put: Put) -> None:
        try:
            with os.fdopen(told, encoding="utf-8") as pipe:
                for line in pipe:
                    with suppress(ValueError):  # A process that is killed may leave half a line.
                        for kind, content in json.loads(line).items():
                            put((kind, content))
        finally:
            put(("ended", self._process.wait()))

    def _read(self, heard: Callable[[str], object]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            heard(line)


def _environment(mark: str) -> dict[str, str]:
    """Return its environment: Ray's workers import from the same places as this command."""
    name, _, value = mark.partition("=")
    path = [str(PROJECT), str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {name: value, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(path)}
    # With its default Ray leaves out lines that resemble each other, such as those of two models.
    return {"RAY_DEDUP_LOGS": "0", **os.environ, **own}
