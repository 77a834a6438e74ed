from math import isnan

import pytest

from pitstop.measure.percentiles import percentile


@pytest.mark.parametrize(
    "values, level, expected",
    [
        ([1, 2, 3, 4], 0.5, 2),
        ([1, 2, 3, 4, 5], 0.25, 2),
        ([4, 3, 2, 1], 0.5, 2),
        ([1, 2, 3], 0.5, 2),
        (list(range(1, 101)), 0.99, 99),
        (list(range(1, 101)), 0.07, 7),
        ([5], 0.99, 5),
        ([1, 2], 0, 1),
        ([1, 2], 1, 2),
    ],
)
def test_a_percentile_is_the_value_of_its_nearest_rank(values: list[float], level: float, expected: float) -> None:
    assert percentile(values, level) == expected


def test_the_percentile_of_nothing_is_no_number() -> None:
    assert isnan(percentile([], 0.5))
