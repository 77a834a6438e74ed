"""The heartbeat's own clock, and the watchdog's verdicts on it."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from deployments.health.heartbeat import Heartbeat
from deployments.health.watchdog import Watchdog, tick_s

HANG_S = 10.0
TICK_S = tick_s(HANG_S)


class Bench:
    """A watchdog that looks when the test says so, on a loop that turns when the test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.heartbeat = Heartbeat()
        self.ended: list[str] = []
        self.watchdog = Watchdog(self.heartbeat, loop, lambda: HANG_S, self.ended.append)

    def look(self, times: int, loop_turns: bool = True, elapsed_s: float = TICK_S) -> None:
        for _ in range(times):
            if not self.watchdog.look(elapsed_s):
                return
            if loop_turns:
                self.loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def bench() -> Iterator[Bench]:
    loop = asyncio.new_event_loop()
    yield Bench(loop)
    loop.close()


def test_an_idle_replica_lives_for_ever(bench: Bench) -> None:
    bench.look(100)
    assert bench.ended == []


def test_a_forward_that_does_not_come_back_ends_the_replica_after_hang_s_and_not_before(bench: Bench) -> None:
    bench.heartbeat.begin()
    bench.look(10)
    assert bench.ended == []
    bench.look(1)
    assert bench.ended == ["a forward has not come back for 11 s (forward_timeout_s is 10)"]


def test_a_step_that_hangs_is_seen_while_those_of_another_thread_come_and_go(bench: Bench) -> None:
    thread = threading.Thread(target=bench.heartbeat.begin)
    thread.start()
    thread.join()
    for _ in range(20):
        bench.heartbeat.begin()
        bench.look(1)
        bench.heartbeat.end()
    assert len(bench.ended) >= 1


def test_many_steps_one_after_the_other_are_no_hang(bench: Bench) -> None:
    for _ in range(50):
        bench.heartbeat.begin()
        bench.look(2)
        bench.heartbeat.end()
    assert bench.ended == []


def test_an_event_loop_that_stands_still_ends_the_replica(bench: Bench) -> None:
    bench.look(3)
    bench.look(20, loop_turns=False)
    assert bench.ended == ["the event loop has not had a turn for 10 s"]


def test_a_process_that_was_stopped_for_an_hour_is_not_taken_for_one_that_hangs(bench: Bench) -> None:
    bench.heartbeat.begin()
    bench.look(2)
    bench.look(1, elapsed_s=3600)
    assert bench.ended == []


def test_a_closed_loop_is_told_apart_from_one_that_stands_still(bench: Bench) -> None:
    bench.loop.close()
    with pytest.raises(RuntimeError):
        bench.watchdog.look(TICK_S)
    assert bench.ended == []
