"""Answers a stream of requests in their order, while several of them are under way at once."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import TypeVar

# How many requests of one stream may be under way at once: enough to fill a batch, and bounded as a queue must be.
STREAM_AT_ONCE = 64
Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def in_order(
    requests: AsyncIterable[Request], answer: Callable[[Request], Awaitable[Answer]], at_once: int
) -> AsyncIterator[Answer]:
    """Yield an answer for each request, in the order of the requests.

    At most `at_once` are read and not yet taken by the consumer. An exception of `requests` or `answer` is raised here,
    and cancels the other requests; so does a consumer that stops.
    """
    slots = asyncio.Semaphore(at_once)
    under_way: asyncio.Queue[asyncio.Future[Answer] | None] = asyncio.Queue()

    async def read() -> None:
        try:
            await slots.acquire()
            async for request in requests:
                under_way.put_nowait(asyncio.ensure_future(answer(request)))
                await slots.acquire()
        finally:
            under_way.put_nowait(None)

    reader = asyncio.create_task(read())
    try:
        while (future := await under_way.get()) is not None:
            answered = await future
            slots.release()
            yield answered
        await reader
    finally:
        reader.cancel()
        while not under_way.empty():
            left = under_way.get_nowait()
            if left is not None:
                left.cancel()
