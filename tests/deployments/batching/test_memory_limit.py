"""How the room for a batch shrinks: only to warmed sizes, and never back by itself."""

import pytest

from deployments.batching.memory_limit import MemoryLimit


@pytest.mark.parametrize(
    "sizes, failed, expected",
    [
        ((1, 2, 4, 8), 8, 4),
        ((1, 2, 4, 8), 1, None),
        ((4, 24, 32), 32, 24),
        ((4, 24, 32), 4, None),
        ((1, 2, 4, 6), 6, 4),
        ((), 9, 4),
        ((), 1, None),
    ],
)
def test_the_next_size_to_try_is_the_next_smaller_warmed_one(
    sizes: tuple[int, ...], failed: int, expected: int | None
) -> None:
    assert MemoryLimit(sizes).below(failed) == expected


def test_what_was_staged_before_the_room_shrank_goes_on_at_the_size_that_is_known_to_fit() -> None:
    memory_limit = MemoryLimit((1, 2, 4, 8, 16))
    memory_limit.keep_to(4, failed=8)
    assert memory_limit.below(16) == 4
    assert memory_limit.below(4) == 2


def test_it_limits_batches_until_it_is_told_to_forget() -> None:
    memory_limit = MemoryLimit((1, 2, 4, 8))
    assert memory_limit.within(8) == 8
    memory_limit.keep_to(2, failed=4)
    memory_limit.keep_to(4, failed=8)
    assert (memory_limit.within(8), memory_limit.within(1)) == (2, 1)
    memory_limit.forget()
    assert memory_limit.within(8) == 8


def test_the_log_says_which_key_to_set_to_what(heard: pytest.LogCaptureFixture) -> None:
    MemoryLimit((1, 2, 4)).keep_to(2, failed=4)
    assert "out of memory at 4 rows" in heard.text
    assert "write max_batch_size: 2 into user_config" in heard.text
