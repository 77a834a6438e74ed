"""Candidates are told apart in turns, on a processor that is throttled in bursts. The forwards advance its clock."""

from collections.abc import Mapping
from statistics import geometric_mean
from types import SimpleNamespace
from typing import Any

import pytest

from models.runtime.forward_times import WINS
from models.signature import Shape
from models.startup import contender

# A cgroup's quota: so long 2.5 times as slow, then so long as fast as it can be.
SLOW_MS, FAST_MS, SLOWER = 60, 40, 2.5
# Of a small network; of one whose largest batch spans more than a phase; of one that spans all.
FORWARDS = [{1: 3.0}, {1: 2.7, 8: 15.0, 32: 60.0}, {1: 7.0, 2: 12.0}, {1: 200.0}]
STARTS_MS = range(0, SLOW_MS + FAST_MS, 3)


class Throttled:
    """A clock on which a forward of so many ms takes longer in a slow phase."""

    def __init__(self, now_ms: float) -> None:
        self.now_ms = now_ms

    def run_ms(self, runner: Any, rows: Shape) -> float:
        began_ms, left_ms = self.now_ms, runner[rows]
        while left_ms > 1e-6:
            phase_ms = self.now_ms % (SLOW_MS + FAST_MS)
            slow = phase_ms < SLOW_MS
            until_ms = (SLOW_MS if slow else SLOW_MS + FAST_MS) - phase_ms
            step_ms = min(left_ms * (SLOWER if slow else 1), max(until_ms, 1e-6))
            self.now_ms += step_ms
            left_ms -= step_ms / (SLOWER if slow else 1)
        return self.now_ms - began_ms


class Steady:
    """A clock on which each run takes what it takes, but for the first ones, which are disturbed."""

    def __init__(self, disturbed: int = 0) -> None:
        self.runs, self._disturbed = 0, disturbed

    def run_ms(self, runner: Any, rows: Shape) -> float:
        self.runs += 1
        took_ms: float = runner[rows] if self.runs > self._disturbed else 1000
        return took_ms


def running(forward_ms: Mapping[Shape, float]) -> Any:
    return SimpleNamespace(runner=forward_ms, forward_ms=forward_ms, use=lambda: None)


def ratio(times: float, forward_ms: Mapping[int, float], clock: Any, monkeypatch: pytest.MonkeyPatch) -> float:
    """The time of a candidate over the champion's, where it takes so many times as long."""
    monkeypatch.setattr(contender, "run_ms", clock.run_ms)
    champions: dict[Shape, float] = {(rows, ()): ms for rows, ms in forward_ms.items()}
    one = running({shape: ms * times for shape, ms in champions.items()})
    samples: Any = SimpleNamespace(shaped=lambda shape, **_: shape)
    found = contender.times_in_turns(one, running(champions), samples, list(champions))
    return geometric_mean(ones / others for ones, others in found.values())


@pytest.mark.parametrize("forward_ms", FORWARDS, ids=str)
def test_of_two_that_are_equally_fast_none_wins_in_bursts(
    forward_ms: dict[int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [ratio(1, forward_ms, Throttled(at), monkeypatch) for at in STARTS_MS]
    assert WINS < min(found) <= max(found) < 1 / WINS


@pytest.mark.parametrize("forward_ms", FORWARDS, ids=str)
def test_one_that_is_a_tenth_faster_wins_in_bursts(
    forward_ms: dict[int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert max(ratio(0.9, forward_ms, Throttled(at), monkeypatch) for at in STARTS_MS) <= WINS


@pytest.mark.parametrize("ms, times, runs", [(10, 1, 40), (10, 2, 18), (200, 1, 6), (200, 2, 3)])
def test_what_is_clear_ends_a_slow_one_after_a_turn_and_a_quick_one_after_half_of_them(
    ms: float, times: float, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 10 ms each runs twice in 10 turns; of 20 against 10 ms, one runs twice and the other four times in 3 of 5."""
    steady = Steady()
    ratio(times, {1: ms}, steady, monkeypatch)
    assert steady.runs == runs


def test_disturbed_runs_count_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ratio(1, {1: 3.0}, Steady(disturbed=8), monkeypatch) == 1


def test_candidates_are_compared_at_the_smallest_the_middle_and_the_largest_batch() -> None:
    assert contender.compared_at([(rows, ()) for rows in (32, 1, 2, 16, 4)]) == [(1, ()), (4, ()), (32, ())]
    assert contender.compared_at([(8, ())]) == [(8, ())]
