"""Which batch sizes run again before one is chosen, on a clock that the forwards themselves advance."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from models.runtime.dims import OpenSizes
from models.runtime.forward_times import best_rows
from models.signature import Shape
from models.startup import batch_size_selection, warmup
from tests.open_sizes import open_sizes


class Runner:
    """Takes for so many rows as many milliseconds as it is told, each in its turn; the last goes on."""

    def __init__(self, took_ms: dict[int, list[float]], ragged: bool, clock: list[float]) -> None:
        self.open_sizes = open_sizes((8, 64), "x") if ragged else OpenSizes((), ())
        self.order: list[int] = []
        self._took_ms, self._clock = took_ms, clock

    def run(self, parts: list[int]) -> dict[str, Any]:
        [rows] = parts
        left = self._took_ms[rows]
        self._clock[0] += (left.pop(0) if len(left) > 1 else left[0]) / 1000
        self.order.append(rows)
        return {}


def held(
    monkeypatch: pytest.MonkeyPatch,
    warmed_ms: dict[int, float],
    took_ms: dict[int, list[float]] | None = None,
    ragged: bool = False,
) -> tuple[dict[Shape, float], Runner]:
    clock = [0.0]
    monkeypatch.setattr(warmup, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    runner = Runner(took_ms or {rows: [ms] for rows, ms in warmed_ms.items()}, ragged, clock)
    samples: Any = SimpleNamespace(shaped=lambda shape, **_: shape[0])
    either: Any = runner
    return batch_size_selection.select_batch_size(
        either, samples, {(rows, ()): ms for rows, ms in warmed_ms.items()}
    ), runner


def test_a_lone_row_that_was_lucky_once_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a host with neighbours: the best of a row's many runs is as good as four rows' best, the usual one not."""
    warmed_ms = {1: 110.0, 2: 225.0, 4: 440.0}
    assert best_rows({(rows, ()): ms for rows, ms in warmed_ms.items()}) == 1
    took_ms = {1: [110.0, 136.0, 137.0, 136.0, 110.0, 138.0, 136.0], 2: [250.0], 4: [440.0, 478.0, 475.0]}
    found, _ = held(monkeypatch, warmed_ms, took_ms)
    assert found == {(1, ()): pytest.approx(136), (2, ()): pytest.approx(250), (4, ()): pytest.approx(475)}
    assert best_rows(found) == 4


def test_sizes_that_are_close_run_in_turns_and_for_equal_times(monkeypatch: pytest.MonkeyPatch) -> None:
    _, runner = held(monkeypatch, {1: 100.0, 2: 200.0, 4: 400.0})
    assert runner.order == ([1] * 4 + [2] * 2 + [4]) * 3


def test_a_size_that_is_slower_or_takes_too_long_keeps_what_the_warm_up_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    warmed_ms = {1: 130.0, 2: 200.0, 4: 400.0, 8: 790.0}
    found, runner = held(monkeypatch, warmed_ms, {2: [210.0], 4: [410.0]})
    assert Counter(runner.order) == {2: 6, 4: 3}
    assert found == {(1, ()): 130, (2, ()): pytest.approx(210), (4, ()): pytest.approx(410), (8, ()): 790}


@pytest.mark.parametrize("warmed_ms", [{1: 1.0, 2: 1.1, 4: 1.2}, {1: 2000.0, 2: 4000.0}])
def test_where_there_is_nothing_to_tell_apart_nothing_runs_again(
    monkeypatch: pytest.MonkeyPatch, warmed_ms: dict[int, float]
) -> None:
    found, runner = held(monkeypatch, warmed_ms)
    assert found == {(rows, ()): ms for rows, ms in warmed_ms.items()}
    assert runner.order == []


def test_where_rows_differ_in_length_nothing_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _, runner = held(monkeypatch, {1: 100.0, 2: 200.0}, ragged=True)
    assert runner.order == []
