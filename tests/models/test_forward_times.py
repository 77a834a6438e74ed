"""What the times of the warm-up say of batch sizes."""

import pytest

from models.runtime.forward_times import best_rows


@pytest.mark.parametrize(
    "forward_ms, expected",
    [
        ({(1, 0): 1.0, (2, 0): 1.0, (4, 0): 1.0}, 4),
        ({(1, 0): 10.0, (4, 0): 36.0, (8, 0): 72.0, (32, 0): 400.0}, 4),
        ({(1, 0): 10.0, (2, 0): 20.0}, 1),
        ({(1, 8): 1.0, (2, 8): 1.0, (1, 64): 10.0, (2, 64): 30.0}, 2),
        ({(1, 8): 1.0, (2, 8): 1.8, (1, 64): 10.0, (2, 64): 30.0}, 1),
        ({}, None),
    ],
)
def test_the_smallest_batch_with_nearly_the_most_rows_a_second_is_the_best(
    forward_ms: dict[tuple[int, int], float], expected: int | None
) -> None:
    assert best_rows(forward_ms) == expected
