"""A start's peak memory, over the weights, with smaller weights than the benchmark's row."""

import pytest

from benchmarks.start_memory import LIMIT, measured


@pytest.mark.long
def test_a_start_takes_at_most_two_and_a_half_times_the_weights_with_what_was_compiled_before_too() -> None:
    _, starts = measured(256)
    assert [each.cached for each in starts] == [False, False, True, True]
    assert {each.what: each.times for each in starts if each.times > LIMIT} == {}
