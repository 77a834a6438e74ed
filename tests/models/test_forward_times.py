"""What the times of the warm-up say of batch sizes."""

import pytest

from models.runtime.forward_times import best_rows
from models.signature import Shape


@pytest.mark.parametrize(
    "forward_ms, expected",
    [
        ({(1, ()): 1.0, (2, ()): 1.0, (4, ()): 1.0}, 4),
        ({(1, ()): 10.0, (4, ()): 36.0, (8, ()): 72.0, (32, ()): 400.0}, 4),
        ({(1, ()): 10.0, (2, ()): 20.0}, 1),
        ({(1, (8,)): 1.0, (2, (8,)): 1.0, (1, (64,)): 10.0, (2, (64,)): 30.0}, 2),
        ({(1, (8,)): 1.0, (2, (8,)): 1.8, (1, (64,)): 10.0, (2, (64,)): 30.0}, 1),
        ({}, None),
    ],
)
def test_the_smallest_batch_with_nearly_the_most_rows_a_second_is_the_best(
    forward_ms: dict[Shape, float], expected: int | None
) -> None:
    assert best_rows(forward_ms) == expected
