import numpy as np
import pytest

from benchmarks.client.schedule import poisson


def test_the_same_seed_gives_the_same_arrivals() -> None:
    assert poisson(100, 2, seed=1) == poisson(100, 2, seed=1)
    assert poisson(100, 2, seed=1) != poisson(100, 2, seed=2)


@pytest.mark.parametrize("rate_rps, seconds", [(0.5, 4), (10, 1), (20_000, 1.5)])
def test_arrivals_are_in_order_and_within_the_time(rate_rps: float, seconds: float) -> None:
    times = poisson(rate_rps, seconds, seed=3)
    assert times == sorted(times)
    assert all(0 < time < seconds for time in times)


def test_gaps_are_exponential_at_the_rate_asked() -> None:
    gaps = np.diff(poisson(10_000, 10, seed=4))
    assert gaps.mean() == pytest.approx(1e-4, rel=0.02)
    # An exponential's deviation is its mean; a steady clock's would be nothing.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)


def test_a_schedule_covers_its_whole_time() -> None:
    assert all(poisson(1_000, 1, seed)[-1] > 0.98 for seed in range(20))
