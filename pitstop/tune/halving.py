"""Successive halving: a short look at all, a longer one at the best third, and so on, so that time goes to the good.

Pure but for what it is given: `run` tries a candidate, `clock` tells the time. Results are yielded one by one, so that
whoever stops half-way has all that was measured.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

C = TypeVar("C")
R = TypeVar("R")

_KEPT = 3
_FINALISTS = 3
# Of the whole time, what the first look may take: the last one decides.
_FIRST_SHARE = 0.6
_MEASURE_S = 0.5


@dataclass(frozen=True, slots=True)
class Round:
    """One look. `last` is the thorough one."""

    number: int
    measure_s: float
    last: bool
    left_s: float


@dataclass(frozen=True, slots=True)
class Tried(Generic[C, R]):
    """What came of one candidate in one round; None where the time was over before its turn."""

    candidate: C
    result: R | None
    round: int


def halve(
    candidates: Sequence[C],
    run: Callable[[C, Round], R],
    score: Callable[[R], float | None],
    budget_s: float,
    clock: Callable[[], float],
) -> Iterator[Tried[C, R]]:
    """Yield every trial, in the order they were made.

    Args:
        candidates: the most promising first; the first one, the present setting, always reaches the last round.
        run: tries one.
        score: the higher the better; None discards.
        budget_s: after it no new trial begins.
        clock: seconds.
    """
    began = clock()
    alive, number = list(candidates), 0
    while alive:
        last = len(alive) <= _FINALISTS
        ends = began + budget_s * (1 if last or number else _FIRST_SHARE)
        scores: list[tuple[float, int, C]] = []
        for place, candidate in enumerate(alive):
            now = clock()
            # The present setting is what all others are held against: it has its turn whatever the time.
            if now >= ends and place:
                yield Tried(candidate, None, number)
                continue
            left = max(ends, began + budget_s) - now
            result = run(candidate, Round(number, _MEASURE_S * _KEPT**number, last, left))
            yield Tried(candidate, result, number)
            value = score(result)
            if value is not None:
                scores.append((-value, place, candidate))
        if last:
            return
        alive, number = _survivors(alive[0], sorted(scores, key=lambda each: each[:2])), number + 1


def _survivors(present: C, ranked: Sequence[tuple[float, int, C]]) -> list[C]:
    kept = [candidate for _, _, candidate in ranked[: max(_FINALISTS - 1, math.ceil(len(ranked) / _KEPT))]]
    able = [candidate for _, _, candidate in ranked]
    return [present, *(each for each in kept if each != present)] if present in able else kept
