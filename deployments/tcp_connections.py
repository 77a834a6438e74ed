"""The TCP connections of a process, from /proc: they tell whether a HAProxy has a request that cannot be asked."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_LISTENS = "0A"


class _Row(NamedTuple):
    """A socket of a process: its own port, its state, and whether bytes wait in the kernel in either direction."""

    port: int
    listens: bool
    waits: bool


def listening(pid: int) -> set[int]:
    """Return the ports on which a process listens.

    Raises:
        OSError: it has ended, or there is no /proc.
    """
    return {each.port for each in _rows(pid) if each.listens}


def has_request(pid: int, ports: set[int]) -> bool:
    """Say whether a proxy that listened on these ports holds a request: connected to a server, or with bytes to send.

    A proxy that stops closes its connection to a server with the answer. One that the server keeps from before counts
    as a request, for the seconds that a proxy keeps it.

    Raises:
        OSError: it has ended, or there is no /proc.
    """
    return any(each.port not in ports or each.waits for each in _rows(pid) if not each.listens)


def _rows(pid: int) -> Iterator[_Row]:
    folder = Path(f"/proc/{pid}")
    sockets = set()
    for descriptor in (folder / "fd").iterdir():
        with suppress(FileNotFoundError):  # It was closed meanwhile.
            sockets.add(str(descriptor.readlink()))
    for name in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # A kernel without IPv6.
            for line in (folder / "net" / name).read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, queues, *_, inode = line.split()[:10]
                if f"socket:[{inode}]" in sockets:
                    yield _Row(int(local.rpartition(":")[2], 16), state == _LISTENS, queues.strip("0") != ":")
