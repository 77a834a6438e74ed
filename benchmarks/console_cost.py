"""What an open console costs: the rate of `mlp` with a page that asks for its figures, and without, in turns.

    python -m benchmarks.console_cost

The page's own requests are sent every 2 s, as the page does; a browser on the same cores would take part of them too.
Closed loop at the most connections. With and without take turns at going first, so that what a machine does meanwhile
falls on both. Writes benchmarks/results/console-cost_<hardware>_<yyyymm>.{json,md}. Run it on a machine that does
nothing else.
"""

import argparse
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from statistics import median
from typing import Any

import requests

from pitstop.load.sender_http import Address
from pitstop.measure.results import head, stem, told, write
from pitstop.report.markdown import table

from . import script
from .loops import closed
from .measure import closed_loops
from .peers.pitstop import PEER
from .run import prepare
from .server import NotMeasuredError, running
from .summary import Round, middle, spread
from .verify import requests_of, verify
from .workloads import WORKLOADS, Workload

# As deployments/console/static/console.js has it.
_EVERY_S = 2.0
_METADATA_EVERY = 15
_WARM_S = 2.0
_MOST_LOST = 0.03
WITHOUT, WITH = "without a page", "with a page open"


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _arguments(given)
    script.unwind_on_sigterm()
    most = max(WORKLOADS["mlp"].connections)
    workload = replace(WORKLOADS["mlp"], connections=(most,), rounds=1, seconds=(options.seconds,))
    record = head(["python", "-m", "benchmarks.console_cost", *given])
    record |= {"rounds": options.rounds, "seconds": options.seconds, "connections": most}
    prepare(workload)
    try:
        rounds = measured(workload, options.rounds)
    except (NotMeasuredError, OSError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    text = render(record, rounds)
    kept = {way: [asdict(each) for each in found] for way, found in rounds.items()}
    write(options.out, stem("console-cost", record), {**record, "ways": kept, "lost": lost(rounds)}, text)
    print(text)
    return 0 if lost(rounds) <= _MOST_LOST else 1


def measured(workload: Workload, count: int) -> dict[str, list[Round]]:
    """Return the rounds of both, in the order in which they were measured."""
    codec, rounds = PEER.codec(workload), dict[str, list[Round]]({WITHOUT: [], WITH: []})
    sent = requests_of(workload, codec)
    with running(PEER, workload) as server:
        address = Address("127.0.0.1", server.port)
        verify(address, workload, codec, sent)
        closed(address, sent, workload.connections[0], _WARM_S)
        for number in range(count):
            for way in (WITHOUT, WITH) if number % 2 == 0 else (WITH, WITHOUT):
                with looking(server.port, workload.name) if way == WITH else nullcontext():
                    [loop] = closed_loops(address, workload, sent)
                rounds[way] += loop.rounds
    return rounds


@contextmanager
def looking(port: int, model: str) -> Iterator[list[int]]:
    """Ask as an open page does; yield the statuses of the answers.

    Raises:
        NotMeasuredError: at the end, if an answer was refused.
    """
    over, statuses = threading.Event(), list[int]()

    def look() -> None:
        with requests.Session() as session:
            for number in _until(over):
                paths = ["/console/data", *([f"/v2/models/{model}"] if number % _METADATA_EVERY == 0 else [])]
                for path in paths:
                    statuses.append(session.get(f"http://127.0.0.1:{port}{path}", timeout=30).status_code)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join()
    if not statuses or set(statuses) != {200}:
        raise NotMeasuredError(f"the console's figures were not answered: {statuses}")


def lost(rounds: Mapping[str, Sequence[Round]]) -> float:
    """Return the share of the rate that is lost with a page open: the median over the pairs."""
    pairs = zip(rounds[WITHOUT], rounds[WITH], strict=True)
    return 1 - median(opened.rate_rps / alone.rate_rps for alone, opened in pairs)


def render(record: Mapping[str, Any], rounds: Mapping[str, Sequence[Round]]) -> str:
    """Return the Markdown; `record` is what the JSON holds beside the rounds."""
    lines = [
        "# What an open console costs",
        "",
        told(record),
        "",
        f"    {record['command']}",
        "",
        f"`mlp`, 64 numbers as JSON, closed loop at {record['connections']} connections; medians of {record['rounds']} "
        "rounds, ± is half the range. The client, and what the page asks, are on the same machine.",
        "",
        *table(["", "rps", "p50 ms", "p99 ms"], [_cells(way, found) for way, found in rounds.items()]),
        "",
        f"With a page open the rate is {100 * lost(rounds):.1f} % lower, the median over the pairs of rounds. At most "
        f"{100 * _MOST_LOST:.0f} % is the target.",
    ]
    return "\n".join(lines) + "\n"


def _cells(way: str, found: Sequence[Round]) -> list[str]:
    rates = [each.rate_rps for each in found]
    latencies = (f"{middle(found, key):.2f}" for key in ("p50_ms", "p99_ms"))
    return [way, f"{median(rates):,.0f} ± {100 * spread(rates):.0f} %", *latencies]


def _until(over: threading.Event) -> Iterator[int]:
    """Yield 0, 1, … as often as a page asks, the first at once, until it is over."""
    number = 0
    while number == 0 or not over.wait(_EVERY_S):
        yield number
        number += 1


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = script.parser("benchmarks.console_cost", __doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each time")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
