"""The processes of a server, found in /proc: how much memory they hold, and whether all of them ended.

Found twice over: by descent, and by a mark in the environment they inherited. HAProxy leaves its parent, and Ray's
workers overwrite their environment when they rename themselves.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

MARK = "PITSTOP_BENCH_RUN"
_PROC = Path("/proc")
_ORPHAN_S = 3.0


def unwind_on_sigterm() -> None:
    """Have a program that is asked to stop unwind as after Ctrl-C, and take the server it has started with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def of(root: int, mark: str) -> set[int]:
    """Return the ids of a process, its descendants and everything that carries the mark."""
    parents = {pid: _parent(pid) for pid in _running()}
    found = {pid for pid in parents if pid == root or _is_marked(pid, mark)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


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


def named(pids: Iterable[int], text: str) -> int | None:
    """Return the first process whose command line has this text."""
    return next((pid for pid in sorted(pids) if text in _read(pid, "cmdline").replace("\0", " ")), None)


def end(root: int, mark: str, patience_s: float = 30.0) -> list[str]:
    """Ask a process to stop and wait for all of its own to go; return what would not and had to be killed."""
    pids = of(root, mark)
    _signal([root], signal.SIGTERM)
    if left := _wait(pids, root, mark, patience_s / 2):
        # TorchServe's launcher and LitServe's parent leave theirs behind when they are asked alone.
        _signal(left, signal.SIGTERM)
        left = _wait(pids, root, mark, patience_s / 2)
    stayed = [f"{pid} {_read(pid, 'cmdline').replace(chr(0), ' ')[:80]}" for pid in sorted(left)]
    _signal(left, signal.SIGKILL)
    return stayed


def _wait(pids: set[int], root: int, mark: str, patience_s: float) -> set[int]:
    """Return what is still running after a while; less than that once nothing but orphans is left."""
    deadline = time.monotonic() + patience_s
    left = pids
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(root, os.WNOHANG)
        left = (pids | of(root, mark)) & _running()
        if root not in left:
            deadline = min(deadline, time.monotonic() + _ORPHAN_S)
    return left


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _running() -> set[int]:
    """Return every process that is not a zombie."""
    pids = {int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()}
    return {pid for pid in pids if "State:\tZ" not in (status := _read(pid, "status")) and status}


def _parent(pid: int) -> int:
    return _field(_read(pid, "status"), "PPid")


def _is_marked(pid: int, mark: str) -> bool:
    return f"{MARK}={mark}" in _read(pid, "environ")


def _field(status: str, name: str) -> int:
    line = next((line for line in status.splitlines() if line.startswith(f"{name}:")), "")
    return int(line.split()[1]) if line else 0


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""
