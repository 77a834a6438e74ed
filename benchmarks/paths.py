"""What each step of the data path costs: bare servers, the replica alone, behind HAProxy, Serve's own ways, settings.

    python -m benchmarks.paths

The model is `mlp`, so that all there is to measure is the way; its forward in process is beside it. Closed loop at 1,
16 and 64 connections, one way after the other.
Writes benchmarks/results/paths_<hardware>_<yyyymm>.{json,md}. Run it on a machine that does nothing else.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from pitstop.load.sender_http import Address
from pitstop.measure.results import head, stem, write

from . import bare, script
from .loops import closed
from .measure import closed_loops
from .paths_table import Way, render
from .peers.pitstop import PEER, changed, read_by
from .results import Limit
from .run import measure_limit, prepare
from .server import NotMeasuredError, running
from .server import answers as is_answered
from .verify import answers, requests_of, verify
from .workloads import WORKLOADS, Workload

_WARM_S = 2.0
_LOG = "RAY_SERVE_HAPROXY_LOG_TARGET"
_CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
# The first of the ports that replicas listen on themselves.
_FIRST = "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"
# Replicas take the first free ports of their range: those of the root and of the model.
_LOOKED_AT = 8
LONE = "HAProxy answering by itself"
EMPTY = "HAProxy, a uvicorn whose handler does nothing"
Edit = Callable[[dict[str, str]], None]


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _arguments(given)
    script.unwind_on_sigterm()
    workload = replace(WORKLOADS["mlp"], rounds=options.rounds, seconds=(options.seconds,) * 3)
    record = head(["python", "-m", "benchmarks.paths", *given]) | {"rounds": options.rounds, "seconds": options.seconds}
    prepare(workload)
    limit = Limit(workload.name)
    measure_limit(limit, options.rounds)
    ways = measured(workload)
    text = render(record, ways, [each[1] for each in limit.rounds])
    whole = {**record, "forward_ms": limit.rounds, "ways": [asdict(each) for each in ways]}
    write(options.out, stem("paths", record), whole, text)
    print(text)


def measured(workload: Workload) -> Sequence[Way]:
    """Return every way, the one that does least first; what is beside these last."""
    requests = requests_of(workload, PEER.codec(workload))
    lone, empty, own, short = (
        Way(LONE),
        Way(EMPTY),
        Way("the replica's own socket, short path", adds=False),
        Way("**HAProxy, short path**, as shipped"),
    )
    ingress = Way("HAProxy, short path, two ingress replicas", adds=False)
    logged = Way("HAProxy, short path, a line to syslog for each request", adds=False)
    wrapped, proxied = Way("HAProxy, Serve's wrapper"), Way("Ray's own proxy, Serve's wrapper")
    answer = b"{}"
    with _noting(own, short), _serving(workload, _shipped) as (port, direct):
        answer = answers(Address("127.0.0.1", port), requests[:1])[0].body
        _drive(own, direct, workload, requests)
        _drive(short, port, workload, requests)
    others = ((wrapped, _without_callback, 0), (proxied, _proxy, 0), (logged, _logged, 0), (ingress, _shipped, 2))
    for way, edit, before in others:
        with _noting(way), _serving(workload, edit, before) as (port, _):
            _drive(way, port, workload, requests)
    with _noting(lone), bare.haproxy(answer) as port:
        _drive(lone, port, workload, requests)
    with _noting(empty), bare.uvicorn(answer) as (port, _):
        _drive(empty, port, workload, requests)
    return lone, empty, own, short, wrapped, proxied, logged, ingress


@contextmanager
def _noting(*ways: Way) -> Iterator[None]:
    """Note why ways could not be measured, and go on with the others."""
    try:
        yield
    except (NotMeasuredError, OSError) as error:
        for way in ways:
            if not way.closed:
                way.not_measured = way.not_measured or str(error)


def _drive(way: Way, port: int | None, workload: Workload, requests: list[bytes]) -> None:
    if port is None:
        way.not_measured = "the replica's port was not found"
        return
    address = Address("127.0.0.1", port)
    if way.name not in (LONE, EMPTY):
        # Those have but one answer.
        verify(address, workload, PEER.codec(workload), requests)
    closed(address, requests, workload.connections[-1], _WARM_S)
    print(way.name, file=sys.stderr, flush=True)
    way.closed = closed_loops(address, workload, requests)


@contextmanager
def _serving(workload: Workload, edit: Edit, ingress_replicas: int = 0) -> Iterator[tuple[int, int | None]]:
    """Serve the model with the variables that `edit` leaves; yield the port, and the replica's own where it has one."""
    variables: dict[str, str] = {}

    def in_config(raw: dict[str, Any]) -> None:
        for owner in [raw["controller_options"], *raw["applications"]]:
            edit(owner["runtime_env"]["env_vars"])
        if ingress_replicas:
            read_by(raw, workload.name, ingress_replicas)
        variables.update(raw["controller_options"]["runtime_env"]["env_vars"])

    with running(changed(in_config), workload) as server:
        first = int(variables.get(_FIRST, 0))
        near = range(first, first + _LOOKED_AT) if first else ()
        yield server.port, next((port for port in near if is_answered(port, PEER.ready(workload))), None)


def _shipped(_: dict[str, str]) -> None:
    pass


def _without_callback(variables: dict[str, str]) -> None:
    variables.pop(_CALLBACK)


def _logged(variables: dict[str, str]) -> None:
    # As Ray has it where nobody says otherwise.
    variables.pop(_LOG)


def _proxy(variables: dict[str, str]) -> None:
    # Ray's defaults, all of them.
    variables.clear()


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = script.parser("benchmarks.paths", __doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each time")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
