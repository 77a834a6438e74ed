from itertools import islice, pairwise

import numpy as np
import pytest

from pitstop.measure.arrivals import poisson


def test_poisson_arrivals_are_the_same_for_the_same_seed_and_rising() -> None:
    times = list(poisson(100, 50, seed=3))
    assert times == list(poisson(100, 50, seed=3)) != list(poisson(100, 50, seed=4))
    assert all(first < second for first, second in pairwise(times))
    assert times[0] > 0
    assert times[-1] < 50


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() -> None:
    times = np.array(list(poisson(200, 500, seed=1)))
    gaps = np.diff(times)
    assert len(times) == pytest.approx(100_000, rel=0.02)
    # Of an exponential distribution, mean and deviation are one.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)


def test_a_process_without_an_end_begins_like_one_that_ends() -> None:
    assert list(islice(poisson(100, seed=3), 20)) == list(islice(poisson(100, 50, seed=3), 20))


def test_a_rate_that_changes_has_its_share_of_the_arrivals_at_each_time() -> None:
    times = np.array(list(poisson(1000, 100, seed=2, share=lambda at_s: 1.0 if at_s < 50 else 0.1)))
    assert (times < 50).sum() == pytest.approx(50_000, rel=0.02)
    assert (times >= 50).sum() == pytest.approx(5_000, rel=0.06)
