"""Which process listens on a port of this machine, as /proc has it; for a start that would find its port taken."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from configs.lint.ports import chosen, given_by_serve

from ..ports import is_free

_LISTEN = "0A"
_PROC = Path("/proc")
_HELP = "is that another pitstop? End it by Ctrl-C in its terminal, or give this config ports of its own"
# Where a config has each port; the last are in env_vars.
KEYS = {
    "HTTP": "http_options.port",
    "Serve's gRPC": "grpc_options.port",
    "gRPC for any client": "args.grpc_port of root",
    "HAProxy's statistics page": "RAY_SERVE_HAPROXY_STATS_PORT",
    "HAProxy's metrics": "RAY_SERVE_HAPROXY_METRICS_PORT",
    "Serve's fallback gRPC": "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
    "Serve's fallback HTTP": "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
}


def taken(raw: Mapping[str, Any]) -> str:
    """Say which ports of a config are taken, and by what; empty where none is, or where a Ray cluster is in use."""
    if os.environ.get("RAY_ADDRESS") or _ray_started():
        return ""
    singles = [each for each in (*chosen(raw), *given_by_serve(raw)) if each.first == each.last]
    held = [each for each in singles if 1 <= each.first <= 65535 and not is_free(each.first)]
    if not held:
        return ""
    lines = [f"port {each.first} ({each.what}) is taken by {_holder(each.first)}" for each in held]
    keys = [KEYS[each.what] for each in held]
    return "\n".join([*lines, f"help: {_HELP}: {', '.join(keys)}"])


def _ray_started() -> bool:
    """Whether `ray start` has left the address of a cluster, which `serve run` would use: its ports may be Serve's."""
    return Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster").exists()


def _holder(port: int) -> str:
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for process in _PROC.glob("[0-9]*"):
        if sockets & set(_links(process)):
            return f"process {process.name} ({_command(process)})"
    return "a process of another user" if sockets else "a process that this system does not name"


def _links(process: Path) -> Iterator[str]:
    """Yield what the files of a process are; nothing of what has gone meanwhile, or is another user's."""
    try:
        files = list((process / "fd").iterdir())
    except OSError:
        return
    for file in files:
        with suppress(OSError):
            yield str(file.readlink())


def _listening(port: int) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on a port."""
    for table in ("tcp", "tcp6"):
        path = _PROC / "net" / table
        for line in path.read_text().splitlines()[1:] if path.is_file() else ():
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _command(process: Path) -> str:
    try:
        line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "gone meanwhile"
    return line if len(line) <= 60 else f"{line[:57]}..."
