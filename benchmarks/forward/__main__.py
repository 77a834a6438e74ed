"""Measures the forward that pitstop finds by itself, in four parts: python -m benchmarks.forward [PART ...].

servers: over HTTP beside six servers. starts: how long one takes, with a cache, a store or neither. interpreter: what
health answers while forwards of half a second run. deviations: thousands of answers beside eager's.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pitstop.measure.results import head, stem, write

from .. import cache, script
from ..peers import PEERS
from ..results import rounded
from . import deviations, interpreter, servers, starts
from .built import Built, building
from .servers import NAMES
from .table import render

PARTS = ("servers", "starts", "interpreter", "deviations")
_PEERS = tuple(each for each in PEERS if each != "pitstop")
_BEFORE = "3919aed"


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(given)
    script.unwind_on_sigterm()
    with building() as built:
        for name in options.parts:
            record = head(["python", "-m", "benchmarks.forward", *given])
            for found in _measured(name, options, built):
                # A run that is cut short keeps what it has, and leaves alone what an earlier whole one has left.
                record = {**record, **found}
                keep(options.partly, name, record)
            path = keep(options.out, name, record)
            print(f"\n{render({name: record})}\n\nwritten to {path}", flush=True)


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line; what is less than a whole part goes to the cache."""
    parser = script.parser("benchmarks.forward", __doc__, out=None)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="as short as it can be, to see that everything runs")
    parser.add_argument("--models", type=script.names(NAMES), default=list(NAMES), help=f"some of {','.join(NAMES)}")
    parser.add_argument("--peers", type=script.names(_PEERS), default=list(_PEERS), help=f"some of {','.join(_PEERS)}")
    parser.add_argument("--before", default=_BEFORE, metavar="COMMIT", help="whose first start is beside today's")
    parser.add_argument("--passes", type=int, help="how often each server is started; 3 by default")
    parser.add_argument("--turns", type=int, default=5, help="how often each start is measured")
    parser.add_argument("--rows", type=int, default=10_000, help="answers of each way that are compared with eager's")
    options = parser.parse_args(given)
    if unknown := sorted(set(options.parts) - set(PARTS)):
        parser.error(f"{', '.join(unknown)}: there is no such part; there is {', '.join(PARTS)}")
    options.parts = options.parts or list(PARTS)
    options.partly = options.out or cache.root() / "results"
    if options.out is None:
        whole = not options.quick and options.models == list(NAMES) and options.peers == list(_PEERS)
        options.out = script.RESULTS if whole else cache.root() / "results"
    if options.quick:
        options.turns, options.rows = 1, 64
    return options


def keep(folder: Path, name: str, record: dict[str, Any]) -> Path:
    """Put a part into the folder's file, in the place of an earlier measurement of it; return the file."""
    file = stem("forward", record)
    path = folder / f"{file}.json"
    parts = json.loads(path.read_text())["parts"] if path.exists() else {}
    # Through JSON: a part that is read back renders as one that was just measured.
    parts |= json.loads(json.dumps(rounded({name: record}, digits=7)))
    return write(folder, file, {"theme": "forward", "parts": parts}, render(parts))


def _measured(name: str, options: argparse.Namespace, built: Built) -> Iterator[dict[str, Any]]:
    if name == "servers":
        return servers.measured(built, options.models, options.peers, options.quick, options.passes)
    if name == "starts":
        return starts.measured(built, options.models, options.before, options.turns)
    if name == "interpreter":
        return interpreter.measured(built, seconds=3 if options.quick else 60)
    return deviations.measured(built, options.models, options.rows)


if __name__ == "__main__":
    main()
