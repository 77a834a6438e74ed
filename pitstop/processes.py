"""The processes of a server, found in /proc: what they run, how much memory they hold, and whether all of them ended.

Found twice over: by descent, and by a mark in the environment that they inherited. HAProxy leaves its parent, and Ray's
workers overwrite their environment when they rename themselves. Without /proc there is no way to know: none then.
"""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_END_S = 60.0


def new_mark(name: str = "PITSTOP_RUN") -> str:
    """Return a mark, NAME=value, that no other run has; it goes into the environment of what is started."""
    return f"{name}={uuid.uuid4().hex}"


def of(root: int | None, mark: str) -> dict[int, str]:
    """Return a process, all that carries the mark, and what descends from either: ids with command lines."""
    parents = {pid: _field(_read(pid, "status"), "PPid") for pid in _running()}
    found = {pid for pid in parents if pid == root or mark in _read(pid, "environ")}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: line for pid in sorted(found - {os.getpid()}) if (line := _command(pid))}


class Followed:
    """A process and all that it has started; what loses both its parent and its mark is known from earlier looks."""

    def __init__(self, process: "subprocess.Popen[str] | subprocess.Popen[bytes]", mark: str) -> None:
        self._process, self._mark = process, mark
        self._known: dict[int, tuple[str, str]] = {}

    def left(self) -> dict[int, str]:
        """Look again; return what still runs: ids with command lines."""
        # Once it has ended, its id may be another's.
        now = of(self._process.pid if self._process.poll() is None else None, self._mark)
        self._known |= {pid: (line, _started(pid)) for pid, line in now.items()}
        there = _running()
        known = {pid: line for pid, (line, since) in self._known.items() if pid in there and _started(pid) == since}
        return known | now


def named(processes: dict[int, str], text: str) -> int | None:
    """Return the first process whose command line has this text."""
    return next((pid for pid, line in processes.items() if text in line), None)


def end(
    process: "subprocess.Popen[str] | subprocess.Popen[bytes]",
    mark: str,
    patience_s: float = _END_S / 2,
    ask_others_after_s: float | None = None,
    wait_s: float = _END_S,
) -> list[str]:
    """End a server as a service manager does; return the command lines of what had to be killed.

    Args:
        process: what was started.
        mark: what it and its own carry.
        patience_s: how long the others may stay once it has ended.
        wait_s: how long it may take to end.
        ask_others_after_s: when they are asked to stop as well; None where a server must see to that itself.
    """
    followed = Followed(process, mark)
    followed.left()
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=wait_s)
    if ask_others_after_s is not None and (others := _wait(followed.left, ask_others_after_s)):
        _signal(others, signal.SIGTERM)
    stayed = _wait(followed.left, patience_s)
    kill(stayed)
    process.wait()
    return list(stayed.values())


def kill(pids: Iterable[int]) -> None:
    """End processes without asking them."""
    _signal(pids, signal.SIGKILL)


def memory_mib(pids: Iterable[int]) -> float:
    """Return the sum of the processes' resident memory; what they share is counted in each."""
    return sum(_field(_read(pid, "status"), "VmRSS") for pid in pids) / 1024


def memory_by_name_mib(pids: Iterable[int]) -> dict[str, float]:
    """Return the processes' resident memory under the name of each program; a Ray worker's is the name of its actor."""
    found: dict[str, float] = {}
    for pid in pids:
        name = program(_read(pid, "cmdline"))
        found[name] = found.get(name, 0.0) + memory_mib([pid])
    return found


def program(cmdline: str) -> str:
    """Return the name of what a process runs, from its NUL-separated command line; of one that has ended, "ended"."""
    if not cmdline:
        return "ended"
    first, *others = cmdline.split("\0")
    if " " in first or first.startswith("ray::"):
        # It has renamed itself.
        return first.split()[0].removeprefix("ray::").split(".")[0]
    # Of an interpreter, what it runs says more.
    script = next((each for each in others if "/" in each and not each.startswith("-")), "")
    named = Path(script) if Path(first).name.startswith("python") and script else Path(first)
    return "/".join(named.parts[-2:]) if named.suffix == ".py" else named.name


def _wait(left: Callable[[], dict[int, str]], patience_s: float) -> dict[int, str]:
    """Return what is still there after a while; nothing as soon as nothing is."""
    deadline = time.monotonic() + patience_s
    while (stayed := left()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return stayed


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        # One that has gone meanwhile is none of ours any more.
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _running() -> set[int]:
    """Return every process that is not a zombie."""
    pids = {int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()} if _PROC.is_dir() else set()
    return {pid for pid in pids if "State:\tZ" not in (status := _read(pid, "status")) and status}


def _started(pid: int) -> str:
    """Return when a process was started, in ticks since the machine was: with its id nobody else's."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _command(pid: int) -> str:
    """Return the command line, or the name of a process that is just becoming another; empty where it has ended."""
    status = _read(pid, "status")
    if not status or "\nState:\tZ" in status:
        return ""
    return _read(pid, "cmdline").replace("\0", " ") or status.split()[1]


def _field(status: str, name: str) -> int:
    line = next((line for line in status.splitlines() if line.startswith(f"{name}:")), "")
    return int(line.split()[1]) if line else 0


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""
