"""What every script here begins with: its command line, how it ends, and what it tells meanwhile."""

import argparse
import datetime
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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


def names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what reads names with commas between them, and refuses unknown ones with those there are."""

    def split(text: str) -> list[str]:
        names = text.split(",")
        if unknown := sorted(set(names) - set(known)):
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)}: there is no such name; there is {', '.join(known)}"
            )
        return names

    return split


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for this process and all that it starts inside the block."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def say(text: str) -> None:
    """Tell what is being done, and when it began."""
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)
