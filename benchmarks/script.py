"""What every script here begins with: its command line, how it ends, and what it tells meanwhile."""

import argparse
import datetime
import signal
import sys
from pathlib import Path

from .cache import PROJECT

RESULTS = PROJECT / "benchmarks" / "results"


def parser(module: str, doc: str | None, out: Path | None = RESULTS) -> argparse.ArgumentParser:
    """Return a parser that knows --out: the folder of the files, where none is named `out`."""
    found = argparse.ArgumentParser(prog=f"python -m {module}", description=(doc or "").partition("\n")[0])
    found.add_argument("--out", type=Path, default=out, help="folder of the files")
    return found


def unwind_on_sigterm() -> None:
    """Have a program that is asked to stop unwind as after Ctrl-C, and take the server it has started with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def say(text: str) -> None:
    """Tell what is being done, and when it began."""
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)
