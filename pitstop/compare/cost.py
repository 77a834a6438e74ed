"""What a million answers cost at a given traffic. Idle time is paid for, so cost falls until the machines are full.

At λ arrivals a second and μ that one replica sustains: replicas = ⌈λ / μ⌉, dollars = replicas * price * 10⁶ / (3600 λ).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor
from typing import Literal

from ..report.numbers import rate

LOWEST_RPS, HIGHEST_RPS = 0.1, 10_000.0
# The table's rows.
RATES = (*(step * 10.0**power for power in range(-1, 4) for step in (1, 2, 5)), HIGHEST_RPS)
Winner = Literal["gpu", "cpu"]
_HAIR = 1e-9


@dataclass(frozen=True, slots=True)
class Fleet:
    """One kind of machine. `capacity_rps` is what one replica sustains within the target.

    Attributes:
        usd_per_hour: what one machine costs.
        per_machine: how many replicas share a machine, each with that capacity.
    """

    capacity_rps: float
    usd_per_hour: float
    per_machine: int = 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """Traffic from `low` to `high` over which one kind of machine costs less."""

    low: float
    high: float
    winner: Winner


def replicas(rate_rps: float, fleet: Fleet) -> int:
    """Return how many replicas carry this traffic; at least one."""
    # 300 / 100 may come out a hair above 3.
    return max(1, ceil(rate_rps / fleet.capacity_rps - _HAIR))


def usd_per_hour(rate_rps: float, fleet: Fleet) -> float:
    return ceil(replicas(rate_rps, fleet) / fleet.per_machine) * fleet.usd_per_hour


def usd_per_million(rate_rps: float, fleet: Fleet) -> float:
    return usd_per_hour(rate_rps, fleet) * 1e6 / (3600 * rate_rps)


def cheaper(rate_rps: float, gpu: Fleet, cpu: Fleet) -> Winner:
    """Return which costs less; the CPU where they cost the same, because it asks for less."""
    return "gpu" if usd_per_hour(rate_rps, gpu) < usd_per_hour(rate_rps, cpu) else "cpu"


def stretches(gpu: Fleet, cpu: Fleet, low: float = LOWEST_RPS, high: float = HIGHEST_RPS) -> list[Stretch]:
    """Return who costs less from `low` to `high`, in order; between two steps of either fleet nothing changes."""
    edges = sorted({low, high, *_steps(gpu, low, high), *_steps(cpu, low, high)})
    found: list[Stretch] = []
    for start, stop in pairwise(edges):
        winner = cheaper((start + stop) / 2, gpu, cpu)
        if found and found[-1].winner == winner:
            found[-1] = Stretch(found[-1].low, stop, winner)
        else:
            found.append(Stretch(start, stop, winner))
    return found


def verdict(found: Sequence[Stretch]) -> str:
    """Say in a sentence or two which machine for which traffic."""
    winners = {stretch.winner for stretch in found}
    if winners == {"cpu"}:
        return f"The CPU costs less at every traffic up to {found[-1].high:,.0f} a second."
    if winners == {"gpu"}:
        return f"The GPU costs less at every traffic from {found[0].low:g} a second on."
    first = next(stretch for stretch in found if stretch.winner != found[0].winner)
    last = found[-1]
    early, late = found[0].winner.upper(), last.winner.upper()
    if len(found) == 2:
        return f"Below {rate(first.low)} a second the {early} costs less, above it the {late}."
    return (
        f"Below {rate(first.low)} a second the {early} costs less, above {rate(last.low)} the {late}; "
        "between them it changes with every machine that is added."
    )


def _steps(fleet: Fleet, low: float, high: float) -> Iterator[float]:
    """Yield the traffic at which one more machine is needed."""
    step = fleet.capacity_rps * fleet.per_machine
    first = max(1, floor(low / step))
    yield from (count * step for count in range(first, floor(high / step) + 1) if low < count * step < high)
