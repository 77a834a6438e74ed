"""A device in another process, played by a coroutine: what an ingress replica does where the other side is not well."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from deployments.batching import remote
from deployments.batching.batch_result import BatchResult
from deployments.batching.grouping import Grouping
from deployments.batching.queue import Answer, Item
from deployments.batching.remote import BlockReply, RemoteDevice
from deployments.core.error_logging import client_error
from deployments.core.errors import InferenceFailed, NotFinite, NotReady, Unavailable
from models.signature import Array
from tests.open_sizes import open_sizes

Send = Callable[[dict[str, Array], int, float, int, int | None], Awaitable[BlockReply]]
NAN = float("nan")


def answers(send: Send, *requests: Any, timeout_s: float = 60, grouping: Grouping | None = None) -> list[Any]:
    """Put one item for each request, and return what each was told."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        device = RemoteDevice(loop, send, grouping=grouping)
        device.set_limit(32)
        told: list[asyncio.Future[Any]] = []

        def done(ran: BatchResult) -> None:
            for part, answer in ran.answers:
                part.item.on_result(answer)

        device.listen(done)
        now = time.perf_counter()
        items = []
        for rows in requests:
            future = loop.create_future()
            told.append(future)
            arrays = {"x": np.array(rows, np.float32)}
            items.append(Item(arrays, len(rows), now, now + timeout_s, _said(future)))
        device.put(items)
        return await asyncio.wait_for(asyncio.gather(*told), 60)

    return asyncio.run(main())


def _said(future: "asyncio.Future[Any]") -> Callable[[Answer | Exception], None]:
    return lambda answer: future.set_result(type(answer) if isinstance(answer, Exception) else answer["y"].tolist())


async def doubles(
    arrays: dict[str, Array], _rows: int, _timeout_s: float, _requests: int, _seed: int | None
) -> BlockReply:
    if np.isnan(arrays["x"]).any():
        return NotFinite.kind, NotFinite().args
    return "answer", {"y": arrays["x"] * 2}


def test_only_the_request_with_nan_of_a_block_is_refused() -> None:
    assert answers(doubles, [1], [NAN], [3]) == [[2], NotFinite, [6]]


def test_what_a_device_that_gives_up_tells_is_told_on() -> None:
    async def gives_up(
        _arrays: dict[str, Array], _rows: int, _timeout_s: float, _requests: int, _seed: int | None
    ) -> BlockReply:
        error = Unavailable(7)
        return error.kind, error.args

    assert answers(gives_up, [1], [2]) == [Unavailable, Unavailable]


def test_a_block_that_never_comes_back_gives_its_place_free(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stopped(
        _arrays: dict[str, Array], _rows: int, _timeout_s: float, _requests: int, _seed: int | None
    ) -> BlockReply:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    monkeypatch.setattr(remote, "_PATIENCE_S", 0.01)
    assert answers(stopped, [1], timeout_s=0.01) == [NotReady]


@pytest.mark.parametrize("row_ms, crossed", [(1.0, [(4, 8), (2, 64)]), (0.0, [(6, 64)])])
def test_short_rows_cross_apart_from_long_ones_where_the_device_is_sooner_through(
    row_ms: float, crossed: list[tuple[int, int]]
) -> None:
    seen = []

    async def notes(
        arrays: dict[str, Array], _rows: int, _timeout_s: float, _requests: int, _seed: int | None
    ) -> BlockReply:
        seen.append(arrays["x"].shape)
        return "answer", {"y": arrays["x"][:, :1]}

    shapes = [(rows, length) for rows in (1, 2, 4, 8) for length in (8, 64)]
    grouping = Grouping(
        {(rows, (length,)): 1 + row_ms * rows * length for rows, length in shapes}, open_sizes((8, 64), "x")
    )
    rows = [[[float(n)] * length] for n, length in enumerate([5, 64, 8, 3, 60, 8])]
    assert answers(notes, *rows, grouping=grouping) == [[[float(n)]] for n in range(6)]
    assert seen == crossed


def test_only_requests_asked_alone_are_logged_by_the_device_and_their_ids_come_across() -> None:
    asked: list[tuple[int, int]] = []

    async def fails(
        arrays: dict[str, Array], rows: int, _timeout_s: float, requests: int, seed: int | None
    ) -> BlockReply:
        asked.append((rows, requests))
        if (arrays["x"] < 0).any():
            return InferenceFailed.kind, (None, "made-there" if requests == 1 else None)
        return await doubles(arrays, rows, 0, requests, seed)

    assert answers(fails, [1], [-1], [3, 4]) == [[2], InferenceFailed, [6, 8]]
    assert asked == [(4, 3), (1, 1), (1, 1), (2, 1)]
    error = InferenceFailed(None, "made-there")
    assert client_error("m", error, "the client's") is error
    assert error.message.endswith("under request id made-there")
