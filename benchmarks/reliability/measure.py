"""Runs cases one after the other; those that want the same server share it while it is well."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from .case import Case
from .row import Row
from .service import Wish
from .stand import Stand
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
    stand: Stand | None = None
    with ExitStack() as running:
        for case in cases:
            say(f"{server}: {case.name}")
            try:
                kept = None if case.fresh else _same(stand, case.wish, running)
                stand = kept or _another(server, case.wish, running)
                row = Row(case.name, server, case.fault, case.load, **case.measure(stand, seconds or case.least_s))
                if row.wrong or row.recovered_s is None:
                    # What it left behind is not the next row's to answer for.
                    running.close()
                    stand = None
                yield row
            except Exception as error:  # Whatever it was, it costs this row and no other.
                running.close()
                stand = None
                yield Row(case.name, server, case.fault, case.load, aborted=f"{type(error).__name__}: {error}"[:500])


def _same(stand: Stand | None, wish: Wish, running: ExitStack) -> Stand | None:
    """Return the server that runs, where it is what is wanted and has recovered from the case before."""
    if stand is None or stand.wish != wish:
        return None
    try:
        ready(stand, _WELL_S)
    except Exception:  # A server that is not well is left, not mended.
        running.close()
        return None
    return stand


def _another(server: str, wish: Wish, running: ExitStack) -> Stand:
    running.close()
    return running.enter_context(standing(server, wish))
