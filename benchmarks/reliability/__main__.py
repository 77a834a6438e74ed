"""Measures the rows: python -m benchmarks.reliability [NAME ...].

With no name all of them, and then the results file and the table in docs/reliability.md are written. With names and
`--again FILE` the rows take the place of those in FILE.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pitstop.measure.results import head

from .. import script
from . import report
from .case import Case
from .cases import CASES
from .measure import measure
from .row import Row
from .server_under_test import PITSTOP, RAY_SERVE

_SERVERS = {"pitstop": PITSTOP, "ray-serve": RAY_SERVE}


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _options(given)
    script.unwind_on_sigterm()
    wanted = [case for case in CASES if not options.names or case.name in options.names]
    servers = [_SERVERS[options.server]] if options.server else list(_SERVERS.values())
    rows: list[Row] = []
    record = head(["python", "-m", "benchmarks.reliability", *given])
    try:
        for row in _rows(wanted, servers, options.seconds):
            rows.append(row)
            print(report.line(row), flush=True)
    except KeyboardInterrupt:
        print("stopped; the table is left as it was", file=sys.stderr)
        return 130
    if path := _write(rows, options, record):
        print(f"\nwritten to {path} and {report.PAGE}")
    return int(any(row.aborted for row in rows))


def _write(rows: Sequence[Row], options: argparse.Namespace, record: Mapping[str, Any]) -> Path | None:
    """Write what was measured, where it was all of it or is to take the place of rows; return the file."""
    if options.again:
        return report.write_again(options.again, rows, record)
    if options.names or options.server or options.seconds:
        return None
    return report.write(rows, record)


def _rows(wanted: Sequence[Case], servers: Sequence[str], seconds: float | None) -> Iterator[Row]:
    for server in servers:
        yield from measure([case for case in wanted if server in case.servers], server, seconds, script.say)


def _options(given: Sequence[str]) -> argparse.Namespace:
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(names)}")
    parser.add_argument("--server", choices=list(_SERVERS), help="only this one; both by default")
    parser.add_argument("--seconds", type=float, help="a shorter load, to try it; the table is then left as it is")
    parser.add_argument("--again", type=Path, metavar="FILE", help="a whole run's results file, to put the rows into")
    options = parser.parse_args(given)
    if options.again and options.seconds:
        parser.error("--again takes rows of their full length: leave --seconds out")
    if options.again and not options.again.is_file():
        parser.error(f"{options.again}: there is no such file")
    if unknown := sorted(set(options.names) - set(names)):
        parser.error(f"{', '.join(unknown)}: there is no such row; there is {', '.join(names)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
