"""A row before it is measured: its name, what it does to which server, and the load that meanwhile goes on."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pitstop.load.target import Target

from .load import Load, loaded
from .questions import Questions
from .row import counted
from .server_under_test import PITSTOP, RAY_SERVE, ServerUnderTest, until
from .service import ServiceOptions

# What the load's thread and its checks can do beside a server on two cores without being what is measured.
RATE_RPS = 100.0
_QUIET_S = 3.0
_AHEAD_S = 5.0
_MOST_S = 60.0

Measure = Callable[[ServerUnderTest, float], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """`measure` gets the server and for how long the load lasts at least, and returns what it found, by Row's names.

    `least_s` is that time where the command line names none. `fresh`: on a server that was started for it alone.
    """

    name: str
    fault: str
    load: str
    measure: Measure
    options: ServiceOptions = field(default_factory=ServiceOptions)
    servers: tuple[str, ...] = (PITSTOP, RAY_SERVE)
    least_s: float = 15.0
    fresh: bool = False


def steady(
    tested: ServerUnderTest,
    versions: tuple[int, ...] = (1,),
    rate_rps: float = RATE_RPS,
    retries: int = 0,
    target: Target | None = None,
) -> Load:
    """Return the load that most rows use; `target` where it is to come in at another port."""
    return Load(Questions(target or tested.target(), tested.form, versions), rate_rps, retries=retries)


def disturbed(
    load: Load,
    fault: Callable[[], object],
    restored: Callable[[], bool],
    seconds: float,
    most_s: float = _MOST_S,
) -> dict[str, Any]:
    """Do harm under load, wait until all is well, and count.

    Args:
        load: what goes on meanwhile; it is started here.
        fault: does the harm, or begins the change.
        restored: whether as many replicas run as should.
        seconds: how long the load lasts at least.
        most_s: how long recovery is waited for.
    """
    began = time.monotonic()
    with loaded(load, min(_AHEAD_S, seconds / 4)):
        load.mark_fault()
        at = time.monotonic()
        fault()
        back = until(restored, most_s)
        back_s = time.monotonic() - at
        # A fault has also to have had the time to show.
        quiet = until(lambda: load.quiet_for_s() > _QUIET_S, max(most_s - back_s, 2 * _QUIET_S))
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    recovered_s = max(back_s, load.recovered_s()) if back and quiet else None
    return {**counted(load), "replicas_back_s": back_s if back else None, "recovered_s": recovered_s}
