"""One start of one server: from an empty folder to readiness, and down again with every process it made."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from pitstop import isolated_server, processes
from pitstop.ports import free_port

from . import cache, venvs
from .peers import Peer
from .peers.peer import Command, Launch
from .workloads import Workload

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
# What pitstop's CPU replica sets in glibc by itself (deployments/malloc_tuning.py); the other servers get it too.
KEEPS_FREED = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}


_START_S = 180.0
_ORPHANS_S = 3.0


class NotMeasuredError(Exception):
    """A server could not be installed, started or trusted; the text says why, for the results."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    peer: Peer
    port: int
    started_s: float
    root: int
    mark: str

    def processes(self) -> dict[int, str]:
        """Return all of its processes, with their command lines."""
        return processes.of(self.root, self.mark)

    def memory_mib(self) -> float:
        return processes.memory_mib(self.processes())

    def watched_mib(self) -> float | None:
        """Return the memory of the process that the peer wants followed, or None where it wants none."""
        pid = processes.named(self.processes(), self.peer.watched) if self.peer.watched else None
        return None if pid is None else processes.memory_mib([pid])


@contextmanager
def running(peer: Peer, workload: Workload) -> Iterator[Server]:
    """Start a server and wait until it is ready; at the end stop it.

    Raises:
        NotMeasuredError: it cannot be installed or does not become ready.
    """
    # Sockets live below this folder, and their paths may have no more than 107 characters.
    with tempfile.TemporaryDirectory(prefix="pb-", ignore_cleanup_errors=True) as name:
        folder, mark = Path(name), processes.new_mark()
        port = free_port(3)
        try:
            python = venvs.python(peer.name.lower(), peer.packages)
        except subprocess.CalledProcessError as error:
            raise NotMeasuredError(f"pip could not install it: {_last_line(error.stderr)}") from error
        launch = Launch(workload, peer.batch(workload.name), port, folder, python)
        process = _spawn(peer, launch, mark)
        try:
            took_s = _wait(process, peer, launch)
            yield Server(peer, port, took_s, process.pid, mark)
        finally:
            # TorchServe's launcher and LitServe's parent leave others behind when they are asked alone.
            if stayed := processes.end(process, mark, ask_others_after_s=_ORPHANS_S):
                print(f"{peer.name}: had to kill {'; '.join(stayed)}", flush=True)


def _spawn(peer: Peer, launch: Launch, mark: str) -> subprocess.Popen[bytes]:
    command = peer.command(launch)
    with (launch.folder / "log").open("wb") as log:
        return subprocess.Popen(
            command.argv,
            cwd=command.cwd or launch.folder,
            env=_environment(peer, launch, command, mark),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _environment(peer: Peer, launch: Launch, command: Command, mark: str) -> dict[str, str]:
    """Return the same environment for every server: torch's threads, malloc, and how the app is to be set."""
    name, _, value = mark.partition("=")
    return {
        **os.environ,
        "PYTHONPATH": str(cache.PROJECT),
        "PYTHONUNBUFFERED": "1",
        **ONE_THREAD,
        **({} if peer.keeps_freed else KEEPS_FREED),
        "BENCH_WORKLOAD": launch.workload.name,
        "BENCH_MAX_ROWS": str(launch.batching.max_batch_size),
        "BENCH_WAIT_MS": str(launch.batching.wait_ms or 0),
        "BENCH_PORT": str(launch.port),
        cache.VARIABLE: str(cache.root()),
        name: value,
        **command.env,
    }


def _wait(process: subprocess.Popen[bytes], peer: Peer, launch: Launch) -> float:
    began = time.monotonic()
    while not _is_ready(peer, launch):
        if process.poll() is not None:
            raise NotMeasuredError(f"ended with status {process.returncode}: {_tail(launch.folder)}")
        if time.monotonic() - began > _START_S:
            raise NotMeasuredError(f"not ready after {_START_S:.0f} s: {_tail(launch.folder)}")
        time.sleep(0.1)
    return time.monotonic() - began


def _is_ready(peer: Peer, launch: Launch) -> bool:
    said = peer.announces in (launch.folder / "log").read_text(errors="replace")
    return said and answers(launch.port, peer.ready(launch.workload))


def answers(port: int, path: str) -> bool:
    """Tell whether GET on this path is answered with 200."""
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _tail(folder: Path) -> str:
    """Return the errors at the end of the log, or its end, without the names of this machine's folders."""
    text = isolated_server.plain((folder / "log").read_text(errors="replace"))
    for secret in (str(folder), str(cache.root()), str(cache.PROJECT), str(Path.home())):
        text = text.replace(secret, "...")
    lines = text.strip().splitlines()
    errors = [line for line in lines if re.search(r"error|exception|failed", line, re.IGNORECASE)]
    return " | ".join((errors or lines)[-5:])[-800:]


def _last_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[-1] if text and text.strip() else "no output"
