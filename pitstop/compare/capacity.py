"""Finds the highest arrival rate that a model sustains within its target: doubling, bisection, and a confirmation.

Pure but for the probe it is given. One bad probe decides nothing, because a neighbour may have caused it; nor does one
good: the rate that is reported has passed again, with other arrivals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

# Bisection ends when the bounds are this close.
_CLOSE = 1.1
_LOWEST_RPS = 0.05
# A server that misses its target at so small a part of a modest rate does not miss it for being busy.
_LEAST_PART = 32
_BACK = 0.9
_TRIES = 2
Kind = Literal["search", "confirm"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What one run at one rate showed. `client_limit` says what was wrong on the client's side, if anything."""

    rate_rps: float
    passed: bool
    p50_ms: float
    p99_ms: float
    failed_share: float
    client_limit: str = ""
    kind: Kind = "search"


@dataclass(frozen=True, slots=True)
class Capacity:
    """`rate_rps` is 0 where even the lowest rate misses the target; `best` is the confirming run.

    `at_least` is why the true value may be higher: the client could not ask for more. `unsteady_rps` are rates that
    were met, and missed more than once: something else had the machine.
    """

    rate_rps: float
    best: Probe | None
    probes: tuple[Probe, ...]
    at_least: str = ""
    unsteady_rps: tuple[float, ...] = ()


Run = Callable[[float, int, Kind], Probe]


def search(run: Run, start_rps: float) -> Capacity:
    """Return the capacity.

    Args:
        run: takes a rate, a seed of the arrivals and what the run is for, and says whether the target was met.
        start_rps: where to begin: a rate that is expected to pass, or little above one that does.
    """
    probes: list[Probe] = []

    def passes(rate_rps: float, kind: Kind = "search") -> bool:
        """Try a rate; while searching, it fails only where it fails twice."""
        for _ in range(_TRIES):
            probes.append(run(rate_rps, len(probes), kind))
            if probes[-1].passed or kind == "confirm":
                break
        return probes[-1].passed

    low, high = _bracket(passes, start_rps)
    while low and high / low > _CLOSE:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if passes(middle) else (low, middle)
    while low >= _LOWEST_RPS and not passes(low, "confirm"):
        low *= _BACK
    if low < _LOWEST_RPS:
        return Capacity(0.0, None, tuple(probes), _limited(probes, 0.0), _unsteady(probes))
    return Capacity(low, probes[-1], tuple(probes), _limited(probes, low), _unsteady(probes))


def _bracket(passes: Callable[[float], bool], start_rps: float) -> tuple[float, float]:
    """Return a rate that passes and a higher one that fails; 0 where none passes."""
    rate = max(start_rps, _LOWEST_RPS)
    if passes(rate):
        while passes(rate * 2):
            rate *= 2
        return rate, rate * 2
    while rate > max(_LOWEST_RPS, start_rps / _LEAST_PART):
        rate /= 2
        if passes(rate):
            return rate, rate * 2
    return 0.0, 0.0


def _limited(probes: list[Probe], rate_rps: float) -> str:
    """Return what ailed the client where every failure above the capacity may be its own."""
    above = [probe for probe in probes if probe.rate_rps > rate_rps and not probe.passed]
    return above[-1].client_limit if above and all(probe.client_limit for probe in above) else ""


def _unsteady(probes: list[Probe]) -> tuple[float, ...]:
    """Return the rates that were met once, and missed at least twice."""
    outcomes: dict[float, list[bool]] = {}
    for probe in probes:
        outcomes.setdefault(probe.rate_rps, []).append(probe.passed)
    return tuple(rate for rate, passed in outcomes.items() if any(passed) and passed.count(False) > 1)
