"""What tracing costs: the throughput of mlp without it, with 1 % of the requests traced, and with all of them.

    python -m benchmarks.tracing_cost

Each way has a server of its own. All run at once and are asked in turns, in rounds that alternate the order: so what
the machine does meanwhile falls on all of them. The collector answers everything and keeps nothing. Writes
benchmarks/results/tracing_<hardware>_<yyyymm>.{json,md}. Run it on a machine that does nothing else.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from statistics import median
from typing import Any

from configs.document import application
from pitstop.load.sender_http import Address
from pitstop.measure.results import head, stem, told, write
from pitstop.report.markdown import table

from . import bare, script
from .loops import closed
from .measure import closed_loops
from .peers.pitstop import PEER, changed
from .results import Closed
from .run import prepare
from .server import running
from .summary import middle, spread
from .verify import requests_of, verify
from .workloads import WORKLOADS, Workload

_WARM_S = 2.0
# By name: the share of the requests that is traced; None for a config without tracing.
NOT_TRACED, SAMPLED = "no tracing", "1 % traced"
WAYS: dict[str, float | None] = {NOT_TRACED: None, SAMPLED: 0.01, "all traced": 1.0}
_MOST_LOST = 0.03


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _arguments(given)
    script.unwind_on_sigterm()
    workload = replace(WORKLOADS["mlp"], rounds=1, seconds=(options.seconds,) * 3)
    record = head(["python", "-m", "benchmarks.tracing_cost", *given])
    record |= {"rounds": options.rounds, "seconds": options.seconds}
    prepare(workload)
    found = measured(workload, options.rounds)
    text = render(record, found)
    ways = {name: [asdict(each) for each in loops] for name, loops in found.items()}
    write(options.out, stem("tracing", record), {**record, "ways": ways, "lost": lost(found, SAMPLED)}, text)
    print(text)


def measured(workload: Workload, rounds: int) -> dict[str, list[Closed]]:
    """Return the loops of each way, all with the same number of rounds, in the order in which they were measured."""
    found = {name: [Closed(connections) for connections in workload.connections] for name in WAYS}
    codec = PEER.codec(workload)
    sent = requests_of(workload, codec)
    with ExitStack() as stack:
        _, collector = stack.enter_context(bare.uvicorn(b"{}"))
        addresses = {}
        for name, share in WAYS.items():
            edit = partial(traced, model=workload.name, share=share, collector=collector)
            server = stack.enter_context(running(changed(edit), workload))
            addresses[name] = Address("127.0.0.1", server.port)
            verify(addresses[name], workload, codec, sent)
            closed(addresses[name], sent, workload.connections[-1], _WARM_S)
        for number in range(rounds):
            for name in list(WAYS)[:: -1 if number % 2 else 1]:
                print(f"{number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
                once = closed_loops(addresses[name], workload, sent)
                for loop, measured_now in zip(found[name], once, strict=True):
                    loop.rounds += measured_now.rounds
    return found


def lost(found: Mapping[str, Sequence[Closed]], name: str) -> float:
    """Return the share of the rate at the most connections that a way loses: the median over the rounds."""
    without, way = (each[-1].rounds for each in (found[NOT_TRACED], found[name]))
    return 1 - median(one.rate_rps / other.rate_rps for one, other in zip(way, without, strict=True))


def traced(raw: dict[str, Any], model: str, share: float | None, collector: int) -> None:
    """Put tracing into a config in place; a share of None leaves it as it is."""
    if share is not None:
        args = application(raw, model)["args"]
        args["tracing"] = {"endpoint": f"http://127.0.0.1:{collector}", "sample": share}


def render(record: Mapping[str, Any], found: Mapping[str, Sequence[Closed]]) -> str:
    """Return the Markdown; `record` is what the JSON holds beside the ways."""
    connections = [loop.connections for loop in next(iter(found.values()))]
    heads = ["", *(f"c={each} {figure}" for each in connections for figure in ("p50 / p99 ms", "rps"))]
    lines = [
        "# What tracing costs",
        "",
        told(record),
        "",
        f"    {record['command']}",
        "",
        "The network is `mlp`, 64 numbers as JSON; client and collector are on its machine. Closed loop, medians of "
        f"{record['rounds']} rounds; ± is half the range.",
        "",
        *table(heads, [[name, *_cells(loops)] for name, loops in found.items()]),
        "",
        f"With 1 % traced the rate at {connections[-1]} connections is {100 * lost(found, SAMPLED):.1f} % lower, the "
        f"median over the rounds. At most {100 * _MOST_LOST:.0f} % is the target.",
    ]
    return "\n".join(lines) + "\n"


def _cells(loops: Sequence[Closed]) -> list[str]:
    cells = []
    for loop in loops:
        rates = [each.rate_rps for each in loop.rounds]
        cells.append(f"{middle(loop.rounds, 'p50_ms'):.2f} / {middle(loop.rounds, 'p99_ms'):.2f}")
        cells.append(f"{median(rates):,.0f} ± {100 * spread(rates):.0f} %")
    return cells


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = script.parser("benchmarks.tracing_cost", __doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each way is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each time")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
