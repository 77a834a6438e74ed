"""The batcher with a device that runs when the test says so. `@serve.batch` is the real one; Ray is not started."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from configs.schema import Tunables
from deployments.batching.batch_result import BatchResult
from deployments.batching.batching import Batcher
from deployments.batching.device_thread import DeviceThread
from deployments.batching.local import open_device
from deployments.batching.queue import Answer
from deployments.core.errors import BadRequest, InferenceFailed, NotFinite, QueueFull, TimedOut, Unavailable
from deployments.core.observation import Times
from models.runtime.batch import Batch
from models.runtime.dims import Cut, OpenSizes
from models.signature import Rows, Shape


class Device:
    """Doubles its rows. `gate` holds each forward until the test opens it; `seen` has the rows of every forward."""

    def __init__(self, ms: float = 0, overlaps: bool = False) -> None:
        self.overlaps = overlaps
        self.open_sizes = OpenSizes((), ())
        self.cut: Cut | None = None
        self.ms = ms
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.seen: list[list[float]] = []
        self.staged: list[int] = []
        self.threads: list[str] = []
        self.fits = 1000

    def shape(self, parts: Sequence[Rows]) -> Shape:
        return sum(len(part["x"]) for part in parts), ()

    def stage(self, parts: Sequence[Rows]) -> Batch:
        rows = np.concatenate([part["x"] for part in parts])
        self.staged.append(len(rows))
        return Batch((len(rows), ()), len(rows), [torch.from_numpy(rows)], None, 0, 0)

    def launch(self, batch: Batch) -> Batch:
        batch.launched_s = time.perf_counter()
        self.threads.append(threading.current_thread().name)
        self.seen.append(batch.inputs[0].tolist())
        self.begun.release()
        assert self.gate.wait(20)
        time.sleep(self.ms / 1000)
        if (batch.inputs[0] < 0).any():
            raise RuntimeError("no negative numbers")
        if len(batch.inputs[0]) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        off = np.isnan(batch.inputs[0].numpy())
        batch.nonfinite = off if off.any() else None
        batch.forward_s = time.perf_counter() - batch.launched_s
        return batch

    def finish(self, batch: Batch) -> Answer:
        return {"y": batch.inputs[0].numpy() * 2}


Test = Callable[["Bench"], Awaitable[None]]


class Bench:
    """A batcher on a device, inside a running loop."""

    def __init__(
        self,
        device: Device,
        max_batch_size: int,
        forward_ms: dict[Shape, float],
        on_loop: bool,
        best_rows: int | None = None,
        whole: bool = False,
        **tunables: Any,
    ) -> None:
        self.device = device
        self.rans: list[BatchResult] = []
        thread = DeviceThread()
        thread.start()
        self.worker = open_device(thread, device, forward_ms, on_loop=on_loop)
        given = Tunables.model_validate(tunables)
        self.batcher = Batcher(given, max_batch_size, self.worker, self.rans.append, best_rows, whole)

    def ask(self, *rows: float, **options: Any) -> asyncio.Future[list[float]]:
        future: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()

        def on_result(answer: Answer | Exception) -> None:
            assert not future.done(), "settled twice"
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer["y"].tolist())

        self.batcher.add({"x": np.array(rows, np.float32)}, len(rows), on_result, **options)
        return future

    async def busy(self) -> asyncio.Future[list[float]]:
        """Occupy the device until the gate opens."""
        self.device.gate.clear()
        first = self.ask(0)
        await asyncio.to_thread(self.device.begun.acquire)
        return first


def run(
    test: Test,
    device: Device | None = None,
    max_batch_size: int = 32,
    forward_ms: dict[Shape, float] | None = None,
    on_loop: bool = False,
    **tunables: Any,
) -> Bench:
    async def main() -> Bench:
        bench = Bench(device or Device(), max_batch_size, forward_ms or {}, on_loop, **tunables)
        try:
            await asyncio.wait_for(test(bench), 20)
        finally:
            bench.device.gate.set()
            bench.worker.stop()
        return bench

    return asyncio.run(main())


@pytest.mark.timing
def test_a_hundred_requests_2_ms_apart_on_a_50_ms_forward_leave_in_at_most_six() -> None:
    async def test(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        began, asked = loop.time(), []
        for n in range(100):
            await asyncio.sleep(began + n * 0.002 - loop.time())
            asked.append(bench.ask(n))
        assert await asyncio.gather(*asked) == [[2.0 * n] for n in range(100)]

    assert len(run(test, Device(ms=50)).device.seen) <= 6


def test_an_idle_device_is_not_kept_waiting_and_a_tick_shares_a_forward() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.gather(bench.ask(1), bench.ask(2, 3), bench.ask(4))

    assert run(test).device.seen == [[1, 2, 3, 4]]


def test_what_waits_while_the_device_is_busy_goes_together_up_to_the_limit() -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        asked = [bench.ask(n) for n in range(1, 8)]
        await until(lambda: bench.worker.waiting_rows == 7)
        bench.device.gate.set()
        await asyncio.gather(first, *asked)

    assert run(test, max_batch_size=4).device.seen == [[0], [1, 2, 3, 4], [5, 6, 7]]


@pytest.mark.parametrize("overlaps", [False, True])
def test_rows_that_would_be_padded_go_in_two_forwards_where_that_is_sooner_for_all(overlaps: bool) -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        rest = [bench.ask(n) for n in range(1, 6)]
        whole = bench.ask(6, 7)
        await asyncio.sleep(0)
        bench.device.gate.set()
        await asyncio.gather(first, *rest)
        assert await whole == [12, 14]

    bench = run(
        test, Device(overlaps=overlaps), max_batch_size=8, forward_ms={(rows, ()): 10.0 * rows for rows in (1, 2, 4, 8)}
    )
    assert bench.device.seen == [[0], [1, 2, 3, 4], [5], [6, 7]]


def test_a_request_larger_than_a_forward_is_split_and_joined() -> None:
    async def test(bench: Bench) -> None:
        assert await bench.ask(*range(10)) == [2 * n for n in range(10)]

    assert [len(rows) for rows in run(test, max_batch_size=4).device.seen] == [4, 4, 2]


def test_a_failed_batch_runs_apart_and_only_the_guilty_one_fails() -> None:
    async def test(bench: Bench) -> None:
        found = await asyncio.gather(bench.ask(1), bench.ask(-1), bench.ask(3), return_exceptions=True)
        assert found[0] == [2]
        assert isinstance(found[1], InferenceFailed)
        assert found[2] == [6]

    run(test)


@pytest.mark.parametrize("overlaps", [False, True])
def test_the_bound_on_waiting_rows_counts_rows_wherever_they_wait(overlaps: bool) -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        waiting = [bench.ask(1, 2), bench.ask(3)]
        with pytest.raises(QueueFull):
            bench.ask(4)
        await until(lambda: bench.worker.waiting_rows == 3)
        with pytest.raises(QueueFull):
            bench.ask(4)
        with pytest.raises(BadRequest, match="at most 3"):
            bench.ask(1, 2, 3, 4)
        bench.device.gate.set()
        await asyncio.gather(first, *waiting)
        assert bench.batcher.waiting_rows == 0

    run(test, Device(overlaps=overlaps), max_queue_size=3)


@pytest.mark.parametrize("overlaps", [False, True])
def test_rows_that_nobody_waits_for_any_more_leave_room_for_others(overlaps: bool) -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        with pytest.raises(TimedOut):
            await bench.ask(1, 2, 3, timeout_s=0.02)
        stays = bench.ask(4, 5, 6)
        await until(lambda: bench.worker.waiting_rows == 3)
        bench.device.gate.set()
        await asyncio.gather(first, stays)

    run(test, Device(overlaps=overlaps), max_queue_size=3)


def test_a_job_gets_its_turn_on_a_gpu_that_always_has_a_full_batch_staged() -> None:
    async def test(bench: Bench) -> None:
        over = False

        async def keep_asking() -> None:
            while not over:
                await bench.ask(1)

        asking = [asyncio.create_task(keep_asking()) for _ in range(12)]
        await until(lambda: len(bench.device.seen) > 3)
        await asyncio.wait_for(bench.worker.call(lambda: None), 10)
        over = True
        await asyncio.gather(*asking)

    run(test, Device(ms=5, overlaps=True), max_batch_size=2)


@pytest.mark.parametrize("overlaps", [False, True])
def test_a_job_goes_ahead_of_all_that_waits(overlaps: bool) -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        waiting = [bench.ask(n) for n in range(1, 6)]
        await until(lambda: bench.worker.waiting_rows == 5 - overlaps)
        job = asyncio.ensure_future(bench.worker.call(lambda: list(bench.device.seen)))
        await asyncio.sleep(0)
        bench.device.gate.set()
        assert await job == [[0]]
        await asyncio.gather(first, *waiting)

    run(test, Device(overlaps=overlaps), max_batch_size=1)


@pytest.mark.parametrize("timeout_s", [0.02, 1.0])
def test_an_expired_request_is_told_and_costs_no_forward(timeout_s: float) -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        with pytest.raises(TimedOut):
            await bench.ask(7, timeout_s=timeout_s)
        bench.device.gate.set()
        await first
        assert await bench.ask(8) == [16]

    assert run(test).device.seen == [[0], [8]]


def test_a_client_that_left_costs_no_forward() -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        bench.ask(7, is_disconnected=lambda: True)
        stays = bench.ask(8)
        bench.device.gate.set()
        await asyncio.gather(first, stays)

    assert run(test).device.seen == [[0], [8]]


def test_a_wait_is_kept_for_company_and_ends_when_the_batch_is_full() -> None:
    async def test(bench: Bench) -> None:
        asked = [bench.ask(1)]
        await asyncio.sleep(0.01)
        asked += [bench.ask(2), bench.ask(3)]
        await asyncio.gather(*asked)
        assert bench.device.seen == [[1, 2, 3]]
        await asyncio.gather(*[bench.ask(n) for n in range(4)])

    assert run(test, max_batch_size=4, batch_wait_timeout_s=0.3).device.seen[1] == [0, 1, 2, 3]


def test_new_limits_apply_in_place() -> None:
    async def test(bench: Bench) -> None:
        bench.batcher.reconfigure(Tunables(max_batch_size=2))
        await asyncio.gather(*[bench.ask(n) for n in range(4)])

    assert [len(rows) for rows in run(test).device.seen] == [2, 2]


def test_a_forward_shorter_than_a_thread_takes_to_wake_runs_on_the_loop_unless_the_device_is_busy() -> None:
    async def test(bench: Bench) -> None:
        await bench.ask(1)
        await bench.ask(1, 2)
        assert bench.device.threads == ["MainThread", "device"]

    run(test, forward_ms={(1, ()): 0.01, (2, ()): 50}, on_loop=True)


def test_a_gpu_gets_its_next_batch_staged_when_it_is_full_and_not_before() -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        asked = [bench.ask(n) for n in range(1, 4)]
        await until(lambda: bench.worker.waiting_rows == 3)
        assert bench.device.staged == [1]
        asked += [bench.ask(n) for n in range(4, 7)]
        await until(lambda: bench.device.staged == [1, 4])
        assert bench.device.seen == [[0]]
        bench.device.gate.set()
        assert await asyncio.gather(first, *asked) == [[2.0 * n] for n in range(7)]

    assert run(test, Device(overlaps=True), max_batch_size=4).device.seen == [[0], [1, 2, 3, 4], [5, 6]]


def test_a_gpu_batch_that_fails_runs_apart_too() -> None:
    async def test(bench: Bench) -> None:
        found = await asyncio.gather(bench.ask(1), bench.ask(-1), bench.ask(3), return_exceptions=True)
        assert [isinstance(each, Exception) for each in found] == [False, True, False]

    run(test, Device(overlaps=True))


@pytest.mark.parametrize("overlaps", [False, True])
def test_what_is_out_of_memory_is_halved_and_later_batches_stay_that_small(overlaps: bool) -> None:
    async def test(bench: Bench) -> None:
        bench.device.fits = 2
        assert await bench.ask(*range(8)) == [2.0 * n for n in range(8)]
        assert [len(rows) for rows in bench.device.seen] == [8, 4, 2, 2, 2, 2]
        bench.device.seen.clear()
        found = await asyncio.gather(*[bench.ask(n) for n in range(5)])
        assert found == [[2.0 * n] for n in range(5)]
        assert {len(rows) for rows in bench.device.seen} <= {1, 2}

    run(test, Device(overlaps=overlaps))


@pytest.mark.parametrize("overlaps", [False, True])
def test_only_the_request_with_nan_in_its_answer_is_refused(overlaps: bool) -> None:
    async def test(bench: Bench) -> None:
        found = await asyncio.gather(bench.ask(1), bench.ask(2, float("nan")), bench.ask(3), return_exceptions=True)
        assert (found[0], found[2]) == ([2], [6])
        assert isinstance(found[1], NotFinite)

    run(test, Device(overlaps=overlaps))


def test_when_a_replica_gives_up_those_who_wait_run_and_come_are_all_told_at_once() -> None:
    async def test(bench: Bench) -> None:
        runs = await bench.busy()
        waits = bench.ask(1)
        short = bench.ask(2, timeout_s=0.9)
        bench.batcher.end_all(Unavailable(1))
        for told in (runs, waits, short):
            with pytest.raises(Unavailable):
                await told
        with pytest.raises(Unavailable):
            bench.ask(3)

    run(test)


def test_a_client_that_left_is_not_kept_until_its_deadline() -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        left = bench.ask(7, is_disconnected=lambda: True)
        # Long before the thirty seconds that it had: the sweep finds it.
        with pytest.raises(TimedOut):
            await asyncio.wait_for(left, 15)
        bench.device.gate.set()
        assert await first == [0]

    assert run(test).device.seen == [[0]]


def test_a_block_that_serve_batch_drops_is_answered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        async def broken(_: object) -> None:
            raise RuntimeError("the queue is gone")

        monkeypatch.setattr(bench.batcher._gathering, "_gather", broken)
        first = await bench.busy()
        waits = bench.ask(1)
        bench.device.gate.set()
        assert list(await asyncio.gather(first, waits)) == [[0], [2]]

    run(test)


def test_time_is_only_called_idle_where_work_was_waiting() -> None:
    async def test(bench: Bench) -> None:
        await bench.ask(1)
        await asyncio.sleep(0.02)
        await bench.ask(2)

    assert [ran.idle_s for ran in run(test).rans] == [0, 0]


def test_who_asks_hears_how_long_each_forward_was_waited_for_and_how_long_it_took() -> None:
    heard: list[tuple[float, float]] = []

    class Heard(Times):
        def forward(self, waited_s: float, took_s: float) -> None:
            heard.append((waited_s, took_s))

    async def test(bench: Bench) -> None:
        first = await bench.busy()
        waits = bench.ask(1, 2, 3, observed=Heard())
        await until(lambda: bench.batcher.waiting_rows == 3)
        bench.device.gate.set()
        await asyncio.gather(first, waits)

    bench = run(test, max_batch_size=2)
    # Three rows are two forwards; the second one waits for the first.
    assert [took_s for _, took_s in heard] == [ran.forward_s for ran in bench.rans[1:]]
    assert 0 < heard[0][0] < heard[1][0]


def test_every_request_counts_with_its_own_latency() -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        others = [bench.ask(1), bench.ask(2)]
        bench.device.gate.set()
        await asyncio.gather(first, *others)

    took = [ran.request_s for ran in run(test).rans]
    assert [len(each) for each in took] == [1, 2]
    assert all(each > 0 for each in took[1])


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.001)
