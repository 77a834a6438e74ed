import math

import pytest

from deployments.autoscaling.decide import MOST_LOAD, Load, most_load, needed, rate_within

# Ten rows a second one by one, forty in eights.
TIMES = {1: 100.0, 8: 200.0}


def load(coming: float = 0, waiting: float = 0, running: float = 0, loop: float = 0) -> Load:
    return Load(waiting, running, coming, loop, 60, TIMES)


def test_nothing_comes_and_nothing_waits_needs_nobody() -> None:
    assert needed([load(loop=0.02)], 500) == 0
    assert needed([load(), load()], 500) == 0


def test_a_device_counts_with_its_best_batch_that_fits_the_target() -> None:
    assert rate_within(TIMES, 150) == 10
    assert rate_within(TIMES, 200) == 40
    assert rate_within({1: 100.0, 8: 1000.0}, 2000) == 10
    assert rate_within(TIMES, 20) == 10


def test_what_comes_decides_while_the_queue_is_short() -> None:
    # 40 rows a second within 500 ms are 20 allowed rows, so a replica may carry 80 % of its 40 rows a second.
    assert needed([load(coming=64)], 500) == pytest.approx(2)
    assert needed([load(coming=32), load(coming=32)], 500) == pytest.approx(2)


def test_a_queue_longer_than_the_target_needs_at_least_one_more() -> None:
    assert needed([load(coming=1, waiting=12, running=8)], 500) < 1
    assert needed([load(coming=1, waiting=13, running=8)], 500) == 2
    assert needed([load(coming=1)] * 2, 500, waiting_elsewhere=41) == 3


def test_a_backlog_is_worked_off_within_the_time_of_a_start_and_no_sooner() -> None:
    # 20 rows of the 4,820 are allowed; 80 a second for a minute, beside the 40 that come, are three times 40.
    assert needed([load(coming=40, waiting=4820)], 500) == pytest.approx(3)


def test_an_event_loop_without_pause_needs_more_replicas_though_no_row_waits() -> None:
    assert needed([load(coming=1, loop=1.0)] * 2, 500) == pytest.approx(2 / MOST_LOAD)


def test_a_target_of_few_rows_leaves_more_room_for_chance() -> None:
    assert most_load(1) < most_load(3) < most_load(100) == MOST_LOAD
    # The chance of a longer wait, as the docstring has it, is one in a hundred.
    at = most_load(3)
    assert math.exp(-2 * (1 - at) / at * 3) == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("target_ms", [1.0, 150.0, 1000.0])
def test_more_traffic_never_needs_fewer_replicas(target_ms: float) -> None:
    found = [needed([load(coming=rate, waiting=rate / 10)], target_ms) for rate in range(200)]
    assert found == sorted(found)
