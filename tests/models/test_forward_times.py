"""What the times of the warm-up say of batch sizes."""

import pytest

from models.runtime.forward_times import best_rows, undisturbed
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


@pytest.mark.parametrize(
    "ran_ms, expected",
    [
        ({}, [10, 20, 40]),
        ({1: 9.5, 2: 18.5}, [10, 20, 40]),
        ({1: 30, 2: 60}, [10, 20, 40]),
        ({1: 5, 2: 10}, [5, 10, 20]),
        ({1: 5, 2: 30}, [5, 20, 40]),
        ({1: 5, 2: 18}, [5, 18, 28]),
        ({1: 5, 2: 10, 4: 39}, [5, 10, 39]),
    ],
)
def test_what_is_clearly_faster_now_corrects_what_was_kept(ran_ms: dict[int, float], expected: list[float]) -> None:
    kept: dict[Shape, float] = {(1, ()): 10, (2, ()): 20, (4, ()): 40}
    found = undisturbed(kept, {(rows, ()): ms for rows, ms in ran_ms.items()})
    assert list(found) == list(kept)
    assert list(found.values()) == pytest.approx(expected)
