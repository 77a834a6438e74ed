"""What goes into a forward alone: rows that belong together, and requests with a seed, in every queue and device."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema import Tunables
from deployments.batching.batching import Batcher
from deployments.batching.device_thread import DeviceThread
from deployments.batching.failure_isolation import isolate_failure
from deployments.batching.fifo import Fifo
from deployments.batching.grouping import Grouping
from deployments.batching.local import open_device
from deployments.batching.memory_limit import MemoryLimit
from deployments.batching.queue import Answer, Item, Part, Policy, Waiting
from deployments.batching.remote import BlockReply, RemoteDevice
from deployments.core.errors import BadRequest, InferenceFailed, OutOfMemoryTogether
from models.runtime.forward_times import best_rows
from models.signature import Array
from models.startup.open_model import OpenedModel, open_model
from tests.deployments.batching.test_batching import Bench, Device, run
from tests.deployments.batching.test_failure_isolation import OUT
from tests.deployments.batching.test_failure_isolation import Device as Isolated
from tests.models.test_open_model import config
from tests.open_sizes import open_sizes

FOUR = [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]
ONE = [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}]


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def item(rows: int, whole: bool, priority: int = 0, length: int = 1) -> Item:
    arrays = {"x": np.zeros((rows, length), np.float32)}
    return Item(arrays, rows, 0, 100, lambda _: None, priority=priority, whole=whole)


def taken(items: list[Item], limit: int, policy: Policy | None = None) -> list[list[int]]:
    """Return the items of each batch, by their place, until none waits."""
    waiting = Waiting(policy or Fifo())
    for each in items:
        waiting.append(each)
    batches = []
    while waiting:
        parts = waiting.take(limit, 0)
        assert all(part.stop - part.start == part.item.rows for part in parts if part.item.whole)
        batches.append([items.index(part.item) for part in parts])
    assert (waiting.rows, waiting.whole_rows) == (0, 0)
    return batches


def test_a_whole_item_goes_alone_when_it_is_the_oldest_and_others_fill_batches_around_it() -> None:
    assert taken([item(1, each) for each in (False, False, True, False, True)], 8) == [[0, 1, 3], [2], [4]]
    assert taken([item(1, True) for _ in range(3)], 8) == [[0], [1], [2]]


def test_a_whole_item_is_not_split_however_small_the_limit() -> None:
    assert taken([item(20, True), item(20, False)], 8) == [[0], [1], [1], [1]]


def test_a_whole_item_goes_by_its_priority() -> None:
    items = [item(1, True), item(1, False), item(1, True, priority=1), item(1, False, priority=9)]
    assert taken(items, 8) == [[2], [0], [1, 3]]


def test_among_lengths_too_a_whole_item_goes_alone() -> None:
    policy = Grouping({(rows, (length,)): 1.0 for rows in (1, 2, 4) for length in (8, 64)}, open_sizes((8, 64), "x"))
    items = [item(1, whole, length=length) for whole, length in ((False, 8), (True, 8), (False, 64), (True, 64))]
    assert taken(items, 4, policy) == [[0, 2], [1], [3]]


def test_a_whole_item_that_nobody_waits_for_costs_no_forward() -> None:
    waiting, left = Waiting(Fifo()), item(3, True)
    for each in (left, item(2, True)):
        waiting.append(each)
    left.abandoned = True
    assert [part.item.rows for part in waiting.take(8, 0)] == [2]
    assert (waiting.rows, waiting.whole_rows) == (0, 0)
    waiting.append(item(3, True))
    waiting.drop_expired(200)
    assert (waiting.rows, waiting.whole_rows) == (0, 0)


def test_rows_that_belong_together_and_do_not_fit_fail_alone_and_are_not_halved() -> None:
    device, limit = Isolated(lambda rows: OUT if len(rows) > 2 else None), MemoryLimit((1, 2, 4, 8))
    failed = item(4, True)
    [(_, answer)] = isolate_failure(device, [Part(failed, 0, 4)], OUT, limit)
    assert isinstance(answer, OutOfMemoryTogether)
    assert "together: send fewer" in answer.sentence
    assert (device.tried, limit.rows, limit.misses) == ([], None, 1)


Test = Callable[[Bench], Awaitable[None]]


def benched(test: Test, device: Device, **options: Any) -> Bench:
    return run(test, device, on_loop=True, best_rows=2, **options)


@pytest.mark.parametrize("overlaps", [False, True])
@pytest.mark.parametrize("tunables", [{}, {"batch_wait_timeout_s": 0.01}])
def test_of_whole_requests_at_once_each_gets_a_forward_of_its_own(overlaps: bool, tunables: dict[str, Any]) -> None:
    requests = [[float(10 * n + row) for row in range(1 + n % 5)] for n in range(20)]

    async def test(bench: Bench) -> None:
        found = await asyncio.gather(*(bench.ask(*each) for each in requests))
        assert found == [[2 * value for value in each] for each in requests]

    device = benched(test, Device(overlaps=overlaps), whole=True, **tunables).device
    assert sorted(device.seen) == sorted(requests)


@pytest.mark.parametrize("overlaps", [False, True])
def test_a_request_with_a_seed_goes_alone_among_those_that_share(overlaps: bool) -> None:
    async def test(bench: Bench) -> None:
        first = await bench.busy()
        asked = [bench.ask(n, seed=7 if n == 3 else None) for n in range(1, 6)]
        await asyncio.sleep(0.01)
        bench.device.gate.set()
        assert await asyncio.gather(first, *asked) == [[2.0 * n] for n in range(6)]

    device = benched(test, Device(overlaps=overlaps)).device
    assert [3.0] in device.seen
    assert sorted(value for each in device.seen for value in each) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("whole, seed, why", [(True, None, "its rows belong together"), (False, 1, "it has a seed")])
def test_more_rows_than_one_forward_takes_are_refused_with_both_numbers(
    whole: bool, seed: int | None, why: str
) -> None:
    async def test(bench: Bench) -> None:
        # What the start found fastest, two rows, is no bound.
        assert await bench.ask(*range(4), seed=seed) == [0, 2, 4, 6]
        with pytest.raises(BadRequest, match=f"the request has 5 rows, and {why}: .* at most 4 rows"):
            bench.ask(*range(5), seed=seed)
        bench.batcher.reconfigure(Tunables.model_validate({"max_batch_size": 3}))
        with pytest.raises(BadRequest, match="at most 3 rows"):
            bench.ask(*range(4), seed=seed)

    benched(test, Device(), whole=whole, max_batch_size=4)


@pytest.mark.parametrize("overlaps", [False, True])
def test_one_whole_request_that_does_not_fit_fails_and_its_neighbours_are_answered(overlaps: bool) -> None:
    async def test(bench: Bench) -> None:
        bench.device.fits = 3
        asked = [bench.ask(*range(rows)) for rows in (1, 4, 3, 2)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in found] == [list, OutOfMemoryTogether, list, list]
        assert await bench.ask(*range(3)) == [0, 2, 4]

    benched(test, Device(overlaps=overlaps), whole=True)


def test_whole_items_cross_to_the_device_one_by_one_with_their_seeds_and_fail_alone() -> None:
    crossed: list[tuple[int, int, int | None]] = []

    async def send(arrays: dict[str, Array], rows: int, _: float, requests: int, seed: int | None) -> BlockReply:
        crossed.append((rows, requests, seed))
        if rows == 3:
            return InferenceFailed.kind, (None, "an-id")
        return "answer", {"y": arrays["x"] * 2}

    async def main() -> list[Any]:
        device = RemoteDevice(asyncio.get_running_loop(), send)
        device.set_limit(2)
        told: list[Any] = []
        device.listen(lambda ran: told.extend(answer for _, answer in ran.answers))
        items = [item(1, False), item(1, False), item(3, True), item(4, True)]
        items[3].seed = 9
        for each in items:
            each.deadline_s += time.perf_counter()
        device.put(items)
        while len(told) < 4:
            await asyncio.sleep(0)
        return told

    told = asyncio.run(main())
    assert sorted(crossed) == [(2, 2, None), (3, 1, None), (4, 1, 9)]
    assert sum(isinstance(each, InferenceFailed) for each in told) == 1


Sent = tuple[np.ndarray[Any, Any], int | None]


def answers(served: OpenedModel, requests: list[Sent], whole: bool, on_loop: bool) -> list[list[float]]:
    """Ask a served model, as many clients at once."""

    async def main() -> list[list[float]]:
        thread = DeviceThread()
        thread.start()
        device = open_device(thread, served.runner, served.forward_ms, on_loop=on_loop)
        best = best_rows(served.forward_ms)
        batcher = Batcher(Tunables(), 8, device, lambda _: None, best, whole)

        async def client(number: int) -> list[float]:
            # Some of a turn, some of later ones.
            for _ in range(number % 3):
                await asyncio.sleep(0)
            future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            rows, seed = requests[number]

            def on_result(answer: Answer | Exception) -> None:
                assert isinstance(answer, dict), answer
                future.set_result(answer)

            batcher.add({"x": rows}, len(rows), on_result, seed=seed)
            return [float(each) for each in (await future)["y"].ravel()]

        try:
            return await asyncio.wait_for(asyncio.gather(*(client(n) for n in range(len(requests)))), 60)
        finally:
            device.stop()

    return asyncio.run(main())


def opened(network: str, **keys: Any) -> OpenedModel:
    return open_model(config(f"tests.models.meant_networks:{network}", **keys), "cpu")


def drawn(count: int) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=(1 + n % 8, 4)).astype(np.float32) for n in range(count)]


@pytest.mark.parametrize("network, keys", [("StubbornDropout", {}), ("Variational", {"outputs": FOUR})])
@pytest.mark.parametrize("backend", [{"backend": "eager"}, {}])
@pytest.mark.parametrize("on_loop", [True, False])
def test_a_seed_repeats_an_answer_whoever_asks_at_the_same_time(
    network: str, keys: dict[str, Any], backend: dict[str, Any], on_loop: bool
) -> None:
    served = opened(network, random=True, **keys, **backend)
    rows = drawn(8)
    requests: list[Sent] = [(rows[n % 8], (None, 1, 2)[n % 3]) for n in range(72)]
    found = answers(served, requests, False, on_loop)
    repeated = answers(served, requests[::-1], False, not on_loop)[::-1]
    for (given, seed), one, other in zip(requests, found, repeated, strict=True):
        if seed is not None:
            alone = served.runner.run([{"x": given}], seed)["y"].ravel().tolist()
            assert one == other == alone
    # Four numbers are drawn for each row at least, so two rows can only by chance be dropped alike.
    unseeded = [tuple(one) for (given, seed), one in zip(requests, found, strict=True) if seed is None]
    assert len(set(unseeded)) > len(unseeded) / 2


@pytest.mark.parametrize("network, keys", [("Contrastive", {"outputs": ONE}), ("Graph", {})])
@pytest.mark.parametrize("backend", [{"backend": "eager"}, {}])
@pytest.mark.parametrize("on_loop", [True, False])
def test_rows_that_belong_together_get_what_they_get_alone_whoever_asks_at_the_same_time(
    network: str, keys: dict[str, Any], backend: dict[str, Any], on_loop: bool
) -> None:
    served = opened(network, batch="whole", **keys, **backend)
    rows = drawn(48)
    found = answers(served, [(each, None) for each in rows], True, on_loop)
    for given, one in zip(rows, found, strict=True):
        np.testing.assert_allclose(one, served.runner.run([{"x": given}])["y"].ravel(), rtol=1e-5, atol=1e-6)
