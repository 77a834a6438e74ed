from array import array
from collections.abc import Sequence

import pytest

from benchmarks.summary import Round, closed_round, middle, open_round, spread, steady
from pitstop.load.record import Record


def rounds(*rates_rps: float) -> list[Round]:
    return [Round(rate_rps=rate, p50_ms=1, p99_ms=2, answers=3, client_cpu=0.5) for rate in rates_rps]


def record(ended_s: list[float], latency_s: list[float], late_s: Sequence[float] = ()) -> Record:
    due_s = [ended - latency for ended, latency in zip(ended_s, latency_s, strict=True)]
    return Record(array("d", due_s), array("d", latency_s), array("d", late_s))


def bursts(period_s: float, size: int, count: int) -> Record:
    """Answers as batches bring them: `size` at once, every `period_s`."""
    times = [period_s * (1 + burst) for burst in range(count) for _ in range(size)]
    return record(times, [period_s] * len(times))


@pytest.mark.parametrize("from_s, to_s", [(0.0, 10.0), (2.0, 9.5), (2.99, 9.1), (1.5, 8.5)])
def test_a_rate_counts_whole_bursts_wherever_the_window_lies(from_s: float, to_s: float) -> None:
    rate_rps, latencies = steady(bursts(1.0, 32, 12), from_s, to_s)
    assert rate_rps == pytest.approx(32)
    assert set(latencies) == {1.0}


def test_a_window_without_an_answer_has_no_rate() -> None:
    rate_rps, latencies_s = steady(bursts(1.0, 32, 3), 5, 6)
    assert (rate_rps, len(latencies_s)) == (0.0, 0)


def test_a_closed_round_leaves_the_warm_up_and_the_last_answers_out() -> None:
    found = closed_round(record([0.5, 1.0, 1.5, 2.0, 9.0], [0.25, 0.5, 0.001, 0.003, 0.5]), from_s=1.0, to_s=2.0)
    assert found.answers == 2
    assert found.rate_rps == pytest.approx(2)
    assert found.p50_ms == pytest.approx(1)
    assert found.p99_ms == pytest.approx(3)


def test_an_open_round_tells_how_late_the_client_was() -> None:
    seen = record([1.0, 2.0], [0.1, 0.2], [0.0, 0.004])
    seen.failures = [(0.1, "HTTP 503"), (0.2, "HTTP 503")]
    found = open_round(seen)
    assert found.rate_rps == 1.0
    assert found.late_p99_ms == pytest.approx(4)
    assert found.errors == {"HTTP 503": 2}


def test_rounds_are_told_by_their_median_and_half_their_range() -> None:
    assert middle(rounds(90, 100, 120), "rate_rps") == 100
    assert spread([90, 100, 120]) == pytest.approx(0.15)
    assert spread([0]) == 0
