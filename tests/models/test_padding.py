import numpy as np
import pytest

from models.runtime.padding import fill, powers_of_two, round_up


@pytest.mark.parametrize(
    "limit, sizes", [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8)), (9, (1, 2, 4, 8, 9))]
)
def test_sizes_double_up_to_the_limit(limit: int, sizes: tuple[int, ...]) -> None:
    assert powers_of_two(limit) == sizes


@pytest.mark.parametrize("count, size", [(1, 1), (3, 4), (4, 4), (5, 6), (7, 7)])
def test_a_count_takes_the_next_size_and_past_the_last_itself(count: int, size: int) -> None:
    assert round_up(count, (1, 2, 4, 6)) == size


def test_spare_rows_repeat_the_last_and_spare_columns_are_zero() -> None:
    target = np.full((4, 3), 9)
    assert fill(target, [np.array([[1, 2, 3]]), np.array([[4, 5]])]) == 2
    assert target.tolist() == [[1, 2, 3], [4, 5, 0], [4, 5, 0], [4, 5, 0]]
