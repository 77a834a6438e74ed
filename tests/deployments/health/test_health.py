"""What makes a replica sick and what does not. The probe answers when the test says so."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import torch

from deployments.batching.batch_result import BatchResult
from deployments.batching.memory_limit import MemoryLimit
from deployments.batching.queue import Item, Part
from deployments.core.errors import InferenceFailed, NotFinite, OutOfMemory, ServeError
from deployments.health import health
from deployments.health.health import FAILURES_TO_END, Health
from deployments.health.probe import Probe, Unhealthy
from models.runtime.batch import Batch
from models.runtime.dims import Cut, OpenSizes
from models.signature import Shape

GOOD = {"y": np.zeros(1)}


class Bench:
    """A health whose probe does what `act` does."""

    def __init__(self, hang_s: float = 60) -> None:
        self.act: Callable[[], Awaitable[None]] = self.passes
        self.closed = False
        self.ended: list[str] = []
        self.health = Health(self._probe, lambda: hang_s, MemoryLimit(), self._set_closed, self.ended.append)

    async def _probe(self) -> None:
        await self.act()

    async def passes(self) -> None:
        pass

    async def raises(self) -> None:
        raise Unhealthy("the row is not what it was")

    async def hangs(self) -> None:
        await asyncio.get_running_loop().create_future()

    def at_ease(self) -> bool:
        return self.health._suspicion is None or self.health._suspicion.done()

    def _set_closed(self, closed: bool) -> None:
        self.closed = closed

    def ran(self, *answers: Any) -> None:
        item = Item({}, 1, 0, 1, on_result=lambda _: None)
        self.health.ran(BatchResult([(Part(item, 0, 1), answer) for answer in answers], 1, (1, ())))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "AGAIN_S", 0)
    monkeypatch.setattr(health, "SICK_AGAIN_S", 0)


def run(test: Callable[[Bench], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        await asyncio.wait_for(test(Bench(**options)), 60)

    asyncio.run(main())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


def test_a_check_probes_only_where_no_batch_was_answered_since_the_last() -> None:
    async def test(bench: Bench) -> None:
        await bench.health.check()
        assert bench.health.probes == 1
        bench.ran(GOOD, InferenceFailed())
        await bench.health.check()
        assert bench.health.probes == 1
        await bench.health.check()
        assert bench.health.probes == 2

    run(test)


def test_a_check_that_finds_the_device_busy_is_content_with_a_batch_that_comes_back() -> None:
    async def test(bench: Bench) -> None:
        bench.act = bench.hangs
        check = asyncio.ensure_future(bench.health.check())
        await until(lambda: bench.health.probes == 1)
        bench.ran(GOOD)
        await check

    run(test)


def test_a_device_that_does_not_run_the_row_is_unhealthy_in_bounded_time_and_left_to_the_watchdog() -> None:
    async def test(bench: Bench) -> None:
        bench.act = bench.hangs
        for _ in range(5):
            with pytest.raises(Unhealthy, match=r"has not run one row within 0.01 s"):
                await bench.health.check()
        assert (bench.closed, bench.ended) == (False, [])

    run(test, hang_s=0.01)


@pytest.mark.parametrize("error", [InferenceFailed(), NotFinite()])
def test_a_batch_that_failed_whole_is_looked_into_at_once_and_bad_inputs_alone_make_nobody_sick(
    error: ServeError,
) -> None:
    async def test(bench: Bench) -> None:
        for n in range(1, 6):
            bench.ran(error, error)
            await until(lambda: bench.health.probes == n)  # noqa: B023  # Awaited here and now.
            await until(bench.at_ease)
        await bench.health.check()
        assert (bench.closed, bench.ended) == (False, [])

    run(test)


def test_a_known_good_row_that_fails_closes_the_door_and_at_the_third_time_ends_the_replica() -> None:
    async def test(bench: Bench) -> None:
        bench.act = bench.raises
        bench.ran(InferenceFailed())
        await until(lambda: bench.closed)
        with pytest.raises(Unhealthy, match="not what it was"):
            await bench.health.check()
        await until(lambda: bool(bench.ended))
        assert bench.ended == [f"the known-good row failed {FAILURES_TO_END} times in a row"]

    run(test)


def test_a_known_good_row_that_passes_again_opens_the_door() -> None:
    async def test(bench: Bench) -> None:
        bench.act = bench.raises
        bench.ran(InferenceFailed())
        await until(lambda: bench.closed)
        bench.act = bench.passes
        await until(lambda: not bench.closed)
        await bench.health.check()
        assert bench.ended == []

    run(test)


def test_a_probe_out_of_memory_fails_the_check_but_neither_closes_the_door_nor_ends_the_replica() -> None:
    async def test(bench: Bench) -> None:
        async def out() -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

        bench.act = out
        bench.ran(OutOfMemory())
        for _ in range(5):
            with pytest.raises(Unhealthy, match="OutOfMemoryError"):
                await bench.health.check()
        assert (bench.closed, bench.ended) == (False, [])
        bench.act = bench.passes
        await bench.health.check()

    run(test)


class Runner:
    overlaps = False
    open_sizes = OpenSizes((), ())
    cut: Cut | None = None

    def __init__(self) -> None:
        self.gives = 1.0

    def shape(self, _: Any) -> Shape:
        return 1, ()

    def stage(self, _: Any) -> Batch:
        return Batch((1, ()), 1, [], None, 0, 0)

    def launch(self, batch: Batch) -> Batch:
        return batch

    def finish(self, _: Batch) -> dict[str, Any]:
        return {"y": np.array([[self.gives]], np.float32)}


def test_a_probe_whose_finite_answer_becomes_nan_is_unhealthy() -> None:
    runner = Runner()
    probe = Probe(runner, {})
    probe()
    runner.gives = float("nan")
    with pytest.raises(Unhealthy, match="now gives NaN"):
        probe()


def test_a_model_that_gives_infinity_by_nature_is_not_sick_for_it() -> None:
    runner = Runner()
    runner.gives = float("-inf")
    probe = Probe(runner, {})
    probe()
    probe()
