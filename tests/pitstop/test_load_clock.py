"""The timer of the load: exact where the event loop's own counts milliseconds."""

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

import pytest

from pitstop.load.clock import Alarm, new_loop, now


def rung(*waits_s: float) -> list[float]:
    """Set one alarm after the other, each when the one before has rung; return how late each rang."""
    late_s: list[float] = []

    async def ring() -> None:
        over = asyncio.Event()

        def note() -> None:
            late_s.append(now() - due_s)
            over.set()

        alarm = Alarm(note)
        for wait_s in waits_s:
            over.clear()
            due_s = now() + wait_s
            alarm.set(due_s)
            await asyncio.wait_for(over.wait(), 60)
        await asyncio.sleep(0.02)
        alarm.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(ring())
    return late_s


def test_an_alarm_rings_once_and_not_before_its_time() -> None:
    waits_s = (0.0, 0.001, 0.0103, -1.0, 0.002)
    late_s = rung(*waits_s)
    assert len(late_s) == len(waits_s)
    assert min(late_s) >= 0


def test_an_alarm_set_anew_rings_at_the_new_time_and_a_closed_one_never() -> None:
    seen: list[float] = []

    async def ring() -> None:
        alarm = Alarm(lambda: seen.append(now()))
        alarm.set(now() + 0.005)
        alarm.set(due_s := now() + 0.03)
        await asyncio.sleep(0.06)
        assert len(seen) == 1
        assert seen[0] >= due_s
        alarm.set(now() + 0.01)
        alarm.close()
        await asyncio.sleep(0.03)
        assert len(seen) == 1

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(ring())


@pytest.mark.timing
def test_an_alarm_is_exact_to_a_fraction_of_a_millisecond() -> None:
    assert median(rung(*[0.0013] * 200)) < 0.0003


@pytest.fixture
def many_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with ExitStack() as held:
            for _ in range(1100):
                held.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_open_files")
def test_an_alarm_rings_behind_a_thousand_open_files_too() -> None:
    assert min(rung(0.001, 0.01)) >= 0
