"""Ports for servers started beside whatever else runs on the machine.

All lie below the range from which the kernel picks ports for outgoing connections, where a port that was free a moment
ago may be taken by any client. Blocks are held by a bound socket, so that two programs that ask here never share one.
"""

import itertools
import random
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

# Above the ports that Ray gives its workers, and below Linux's ephemeral range, 32768 to 60999.
_FIRST, _BLOCK, _BLOCKS = 20_000, 500, 22
_SINGLE = _FIRST + _BLOCK * _BLOCKS
_END = 32_768
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Of a block: what one cluster takes one by one, then Serve's two ranges for its replicas.
_SINGLES, _RANGE = 100, 200
# Ports outside the blocks are given out by fours, one four after another from a random place: none twice in a row.
_RUN = 4
_RUNS = itertools.count(random.randrange(_END))


class Ports:
    """A block of ports, held until `close` or the end of a `with`."""

    def __init__(self) -> None:
        self._first, self._guard = _block()
        self._next = self._first + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._guard.close()

    def one(self) -> int:
        """Return a free port that was not given out before."""
        while self._next < self._first + _SINGLES:
            port, self._next = self._next, self._next + 1
            if is_free(port):
                return port
        raise OSError(f"no port is free between {self._first} and {self._first + _SINGLES}")

    def of_serve(self, folder: Path) -> dict[str, str]:
        """Return the environment that keeps one Ray Serve apart from any other; its sockets go below `folder`."""
        http = self._first + _SINGLES
        files = {
            "HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
            "HAPROXY_SOCKET_PATH": "admin.sock",
            "HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
            "HAPROXY_SERVER_STATE_FILE": "server-state",
        }
        named = ("HAPROXY_METRICS_PORT", "HAPROXY_STATS_PORT", "FALLBACK_PROXY_HTTP_PORT", "FALLBACK_PROXY_GRPC_PORT")
        # Serve looks for replicas' ports in ranges.
        ranges = {"HTTP": http, "GRPC": http + _RANGE}
        return {
            **{f"RAY_SERVE_{name}": str(self.one()) for name in named},
            **{f"RAY_SERVE_{name}": str(folder / "ha" / file) for name, file in files.items()},
            **{f"RAY_SERVE_DIRECT_INGRESS_MIN_{kind}_PORT": str(first) for kind, first in ranges.items()},
            **{f"RAY_SERVE_DIRECT_INGRESS_MAX_{kind}_PORT": str(first + _RANGE - 1) for kind, first in ranges.items()},
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder / "ha"),
            # Thirty seconds by default, for load balancers that are not here.
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        }


def free_port(run: int = 1) -> int:
    """Return the first of `run` adjacent free ports, 4 at most; another at each call. Nobody holds it: bind it soon."""
    places = (_end() - _SINGLE) // _RUN
    while True:
        port = _SINGLE + next(_RUNS) % places * _RUN
        if all(is_free(port + offset) for offset in range(run)):
            return port


def is_free(port: int) -> bool:
    """Tell whether nothing is bound to a port, on this machine's own address or on all."""
    return all(_bound(address, port) for address in ("127.0.0.1", ""))


def _bound(address: str, port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: without it the connections of one that has ended would keep the port for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _block() -> tuple[int, socket.socket]:
    for first in random.sample([_FIRST + _BLOCK * place for place in range(_BLOCKS)], _BLOCKS):
        guard = socket.socket()
        try:
            guard.bind(("127.0.0.1", first))
        except OSError:
            guard.close()
            continue
        return first, guard
    raise OSError(f"all {_BLOCKS} blocks of ports from {_FIRST} on are held: end what still runs")


def _end() -> int:
    """Return where the kernel's own choice begins, should it be lower than usual."""
    try:
        start = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError):
        return _END
    return min(start, _END) if start > _SINGLE + 1000 else _END
