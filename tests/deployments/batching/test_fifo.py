"""The policy for rows of one shape: how many of those that wait the next forward takes."""

from hypothesis import given
from hypothesis import strategies as st

from deployments.batching.fifo import TURN_MS, rows_to_take
from models.runtime.padding import round_up
from models.signature import Shape

SIZES = (1, 2, 4, 8, 16)


def times(one_ms: float, more_ms: float) -> dict[Shape, float]:
    return {(rows, ()): one_ms + more_ms * (rows - 1) for rows in SIZES}


def test_where_time_grows_with_the_rows_no_row_is_padded() -> None:
    assert rows_to_take(times(10, 10)) == {
        3: 2,
        **{5: 4, 6: 4, 7: 4},
        **dict.fromkeys(range(9, 16), 8),
    }


def test_where_a_full_batch_takes_little_longer_than_a_lone_row_all_go_at_once() -> None:
    assert rows_to_take(times(10, 0.1)) == {}
    assert rows_to_take(times(0.01, 0.01)) == {}


def test_where_nothing_was_timed_all_go_at_once() -> None:
    assert rows_to_take({}) == {}


@given(st.lists(st.floats(0.01, 100), min_size=len(SIZES), max_size=len(SIZES)))
def test_nobody_is_answered_later_than_if_all_had_gone_together(ms: list[float]) -> None:
    took = dict(zip(SIZES, ms, strict=True))
    sooner = rows_to_take({(rows, ()): each for rows, each in took.items()})
    for rows in range(1, SIZES[-1] + 1):
        left, passed = rows, 0.0
        while left:
            now = sooner.get(left, left)
            assert now in SIZES or now == left
            passed += TURN_MS + took[round_up(now, SIZES)]
            left -= now
        assert passed <= TURN_MS + took[round_up(rows, SIZES)] + 1e-9
