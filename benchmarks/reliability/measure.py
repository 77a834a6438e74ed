"""Runs cases one after the other; those that want the same server share it while it is well."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from .case import Case
from .row import Row
from .server_under_test import ServerUnderTest
from .service import ServiceOptions
from .standing import ready, standing

Say = Callable[[str], None]
_WELL_S = 20.0


def measure(cases: Sequence[Case], server: str, seconds: float | None, say: Say) -> Iterator[Row]:
    """Measure cases on one server; a row that fails is told as such, and the others go on.

    Args:
        cases: what to do.
        server: to which.
        seconds: how long each load lasts at least, or None for the case's own time.
        say: is told what is being done.
    """
    tested: ServerUnderTest | None = None
    with ExitStack() as running:
        for case in cases:
            say(f"{server}: {case.name}")
            try:
                kept = None if case.fresh else _same(tested, case.options, running)
                tested = kept or _another(server, case.options, running)
                row = Row(case.name, server, case.fault, case.load, **case.measure(tested, seconds or case.least_s))
                if row.wrong or row.recovered_s is None:
                    # What it left behind is not the next row's to answer for.
                    running.close()
                    tested = None
                yield row
            except Exception as error:  # Whatever it was, it costs this row and no other.
                running.close()
                tested = None
                yield Row(case.name, server, case.fault, case.load, aborted=f"{type(error).__name__}: {error}"[:500])


def _same(tested: ServerUnderTest | None, options: ServiceOptions, running: ExitStack) -> ServerUnderTest | None:
    """Return the server that runs, where it is what is wanted and has recovered from the case before."""
    if tested is None or tested.options != options:
        return None
    try:
        ready(tested, _WELL_S)
    except Exception:  # A server that is not well is left, not mended.
        running.close()
        return None
    return tested


def _another(server: str, options: ServiceOptions, running: ExitStack) -> ServerUnderTest:
    running.close()
    return running.enter_context(standing(server, options))
