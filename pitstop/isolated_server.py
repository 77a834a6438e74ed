"""Starts `serve run` apart from all else on the machine; processes.py ends it so that nothing stays behind."""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from .ports import Ports
from .project import PROJECT

_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec a process with threads may call little more than the kernel.
_LIBC = ctypes.CDLL(None)


def environment(folder: Path, mark: str) -> dict[str, str]:
    """Return an environment with the mark, for a Ray that keeps its files below `folder`.

    Sockets live there, and their paths may have no more than 107 characters: its name must be short.
    """
    name, _, value = mark.partition("=")
    # The token that Ray otherwise asks of its commands would be written into the home directory.
    own = {name: value, "RAY_TMPDIR": str(folder), "PYTHONUNBUFFERED": "1", "RAY_AUTH_MODE": "disabled"}
    return {**os.environ, **own}


def command(name: str) -> str:
    """Return the path of a command of this environment, such as `serve` or `ray`.

    Raises:
        FileNotFoundError: it is not installed.
    """
    found = Path(sys.executable).with_name(name)
    if not found.is_file():
        raise FileNotFoundError(f"{found} is not there\nhelp: pip install 'ray[serve]' into this environment")
    return str(found)


def on_own_ports(raw: dict[str, Any], port: int, ports: Ports, folder: Path) -> None:
    """Change a config in place: HTTP at `port`, all else that listens at ports of the block, sockets below `folder`."""
    raw["http_options"] = {**raw.get("http_options", {}), "host": "127.0.0.1", "port": port}
    if "grpc_options" in raw:
        raw["grpc_options"]["port"] = ports.one()
    own = ports.of_serve(folder)
    for owner in [raw.setdefault("controller_options", {}), *raw["applications"]]:
        environment = owner.setdefault("runtime_env", {})
        environment["env_vars"] = {**environment.get("env_vars", {}), **own}
        if "grpc_port" in owner.get("args", {}):
            owner["args"]["grpc_port"] = ports.one()


def plain(log: str) -> str:
    """Return what a server printed without the colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", log)


def serve_run(
    config: Path, env: dict[str, str], out: int | IO[Any], cwd: Path = PROJECT, inside: Sequence[str] = ()
) -> "subprocess.Popen[str]":
    """Start `serve run` on a config; `inside` is a command that runs another, such as `nice`."""
    return spawn([*inside, command("serve"), "run", str(config)], env, out, cwd)


def spawn(
    argv: Sequence[str],
    env: dict[str, str],
    out: int | IO[Any],
    cwd: Path = PROJECT,
    into: int | None = None,
    kept: Sequence[int] = (),
) -> "subprocess.Popen[str]":
    """Start a command that Ctrl-C does not reach; where this process is killed, the kernel ends it.

    `into` is its stdin, and `kept` are the file descriptors that it gets beside the usual ones.
    """
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdin=into,
        stdout=out,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=kept,
        start_new_session=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # One system call.
    )


def _end_with_parent() -> None:
    """Have the kernel end the server where this process is killed and cannot: a user's Ray must not stay behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
