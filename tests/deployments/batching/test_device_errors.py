"""Whatever raises between a block and its answers, on the event loop or in the device's threads, tells who waits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from configs.schema import Tunables
from deployments.batching.batch_result import BatchResult
from deployments.batching.batching import Batcher
from deployments.batching.device_thread import DeviceThread
from deployments.batching.local import LocalDevice, open_device
from deployments.batching.queue import Item, Part, Waiting
from deployments.batching.remote import RemoteDevice
from deployments.core.errors import InferenceFailed, OutOfMemory, ServeError
from models.signature import Rows, Shape
from tests.deployments.batching.test_batching import Device

Told = list[Any]
BROKEN = -7.0


class Stumbling(Device):
    """Raises where it only should look at rows, for a row that is BROKEN."""

    def shape(self, parts: Sequence[Rows]) -> Shape:
        if any((part["x"] == BROKEN).any() for part in parts):
            raise IndexError("tuple index out of range")
        return super().shape(parts)

    def stage(self, parts: Sequence[Rows]) -> Any:
        self.shape(parts)
        return super().stage(parts)


def asked(batcher: Batcher, *requests: float) -> list[asyncio.Future[Any]]:
    """Ask in one turn of the loop; each future gets the first number of its answer, or the class of its error."""
    futures = []
    for value in requests:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def on_result(answer: Any, future: asyncio.Future[Any] = future) -> None:
            future.set_result(type(answer) if isinstance(answer, Exception) else float(answer["y"][0]))

        batcher.add({"x": np.array([value], np.float32)}, 1, on_result)
        futures.append(future)
    return futures


def run(test: Callable[[Batcher, LocalDevice], Awaitable[None]], device: Device, **served: Any) -> None:
    async def main() -> None:
        thread = DeviceThread()
        thread.start()
        worker = open_device(thread, device, {(rows, ()): 0.01 for rows in range(1, 33)}, **served)
        try:
            await asyncio.wait_for(test(Batcher(Tunables(), 32, worker, lambda _: None), worker), 20)
        finally:
            worker.stop()

    asyncio.run(main())


@pytest.mark.parametrize("on_loop", [True, False])
def test_rows_that_cannot_be_looked_at_cost_their_request_alone(on_loop: bool) -> None:
    async def test(batcher: Batcher, _: LocalDevice) -> None:
        assert await asyncio.gather(*asked(batcher, 1, BROKEN, 3)) == [2, InferenceFailed, 6]
        assert await asyncio.gather(*asked(batcher, 4)) == [8]

    run(test, Stumbling(), on_loop=on_loop)


@pytest.mark.parametrize("on_loop", [True, False])
def test_an_answer_that_cannot_be_handed_over_costs_the_others_nothing(on_loop: bool) -> None:
    def refuses(_: object) -> None:
        raise RuntimeError("the connection is gone")

    async def test(batcher: Batcher, _: LocalDevice) -> None:
        batcher.add({"x": np.array([1], np.float32)}, 1, refuses)
        assert await asyncio.gather(*asked(batcher, 2, 3)) == [4, 6]

    run(test, Device(), on_loop=on_loop)


@pytest.mark.parametrize("on_loop", [True, False])
def test_a_batch_that_cannot_be_counted_is_answered_all_the_same(on_loop: bool) -> None:
    def refuses(_: BatchResult) -> None:
        raise RuntimeError("a metric is full")

    async def test(_: Batcher, worker: LocalDevice) -> None:
        batcher = Batcher(Tunables(), 32, worker, refuses)
        assert await asyncio.gather(*asked(batcher, 2, 3)) == [4, 6]
        assert await asyncio.gather(*asked(batcher, 4)) == [8]

    run(test, Device(), on_loop=on_loop)


def test_a_device_that_does_not_take_a_block_ends_its_requests() -> None:
    async def test(batcher: Batcher, worker: LocalDevice) -> None:
        def refuses(_: Sequence[Item]) -> None:
            raise RuntimeError("no")

        put = worker.put
        worker.put = refuses  # type: ignore[method-assign, assignment]
        assert await asyncio.gather(*asked(batcher, 1, 2)) == [InferenceFailed, InferenceFailed]
        worker.put = put  # type: ignore[method-assign]
        assert await asyncio.gather(*asked(batcher, 3)) == [6]

    run(test, Device())


@pytest.mark.parametrize("overlaps", [False, True])
def test_the_devices_threads_outlive_what_nobody_foresaw_and_tell_everybody(
    overlaps: bool, monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
) -> None:
    take = Waiting.take
    broken = [True]

    def breaks_once(self: Waiting, limit: int, now_s: float) -> Any:
        if broken and self.rows:
            broken.clear()
            raise ZeroDivisionError
        return take(self, limit, now_s)

    monkeypatch.setattr(Waiting, "take", breaks_once)

    async def test(batcher: Batcher, _: LocalDevice) -> None:
        assert await asyncio.gather(*asked(batcher, 1, 2)) == [ServeError, ServeError]
        assert await asyncio.gather(*asked(batcher, 3)) == [6]
        assert batcher.waiting_rows == 0

    run(test, Device(overlaps=overlaps))
    assert [each.getMessage().partition(", ")[0] for each in heard.records] == ["the device's threads: internal error"]


def test_rows_that_cannot_be_handed_to_the_feeder_are_told_and_the_next_ones_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrays, broken = Part.arrays.fget, [True]  # type: ignore[attr-defined]

    def breaks_once(self: Part) -> Rows:
        if broken:
            broken.clear()
            raise MemoryError
        found: Rows = arrays(self)
        return found

    monkeypatch.setattr(Part, "arrays", property(breaks_once))

    async def test(batcher: Batcher, _: LocalDevice) -> None:
        assert await asyncio.gather(*asked(batcher, 1)) == [OutOfMemory]
        assert await asyncio.gather(*asked(batcher, 3)) == [6]

    run(test, Device(overlaps=True))


def test_a_block_that_cannot_be_collated_ends_with_its_requests_and_the_next_one_goes() -> None:
    async def doubles(arrays: dict[str, Any], _rows: int, _timeout_s: float, _requests: int, _seed: int | None) -> Any:
        return "answer", {"y": arrays["x"] * 2}

    async def main() -> None:
        device = RemoteDevice(asyncio.get_running_loop(), doubles)
        batcher = Batcher(Tunables(), 32, device, lambda _: None)
        told: Told = []
        batcher.add({"x": np.zeros((1, 1), np.float32)}, 1, told.append)
        batcher.add({"other": np.zeros((1, 1), np.float32)}, 1, told.append)
        while len(told) < 2:
            await asyncio.sleep(0)
        assert [type(each) for each in told] == [InferenceFailed, InferenceFailed]
        assert await asyncio.gather(*asked(batcher, 3)) == [6]

    asyncio.run(main())
