"""Requests to batches and back. Mistake 5, closed: no request reaches the device as a lone vector while others wait.

`@serve.batch` gathers blocks, one for all requests of a loop tick, and hands them over at once. The device thread then
takes every waiting row, up to the limit, each time it becomes free. Waiting for a full batch inside `@serve.batch`
would not fill it: Serve forms the next batch before a slot is free (measured in docs/architecture.md).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from ray import serve

from configs.schema import Tunables
from models.signature import Rows

from .errors import BadRequest, QueueFull, TimedOut
from .queue import Answer, Item, join
from .worker import Ran, Worker

Block = list[Item]


class Batcher:
    """The event loop's side of a model's queue."""

    def __init__(self, tunables: Tunables, max_rows: int, observe: Callable[[Ran], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._observe = observe
        self._max_rows = max_rows
        self._block: Block = []
        self._admitted_rows = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.worker = Worker(self._loop, self._settle_all)
        # Decorated here, not in the class: Serve makes the queue at decoration, so two batchers would share one.
        self._gather: Any = serve.batch(max_batch_size=1, batch_wait_timeout_s=0, max_concurrent_batches=64)(self._put)
        self.reconfigure(tunables)
        self.worker.start()

    def reconfigure(self, tunables: Tunables) -> None:
        """Change limits in place; what waits already goes by the new ones."""
        self.tunables = tunables
        self.worker.limit = min(tunables.max_rows or self._max_rows, self._max_rows)
        self._gather.set_batch_wait_timeout_s(tunables.wait_ms / 1000)
        self._gather.set_max_batch_size(self.worker.limit)

    @property
    def waiting_rows(self) -> int:
        """Rows admitted that no forward has taken yet."""
        return self._admitted_rows - self.worker.left_rows

    async def submit(self, arrays: Rows, rows: int, timeout_s: float | None = None) -> Answer:
        """Answer `rows` rows, which may share forwards with strangers.

        Raises:
            QueueFull: the bound on waiting rows is reached.
            TimedOut: no answer within the configured time, or `timeout_s` where that is shorter.
            InferenceFailed: the model raised on these rows, with no one else's among them.
        """
        self._admit(rows)
        now = time.monotonic()
        allowed = min(timeout_s or self.tunables.timeout_s, self.tunables.timeout_s)
        future: asyncio.Future[Answer] = self._loop.create_future()
        item = Item(arrays, rows, now, now + allowed, _settler(future))
        timer = self._loop.call_later(allowed, item.settle, TimedOut())
        if not self._block:
            self._loop.call_soon(self._hand_over)
        self._block.append(item)
        try:
            return await future
        finally:
            timer.cancel()
            item.abandoned = True

    def _admit(self, rows: int) -> None:
        bound = self.tunables.max_queued_rows
        if rows > bound:
            raise BadRequest(f"the request has {rows} rows, this model takes at most {bound} at once: split it")
        if self.waiting_rows + rows > bound:
            raise QueueFull(self.tunables.retry_after_s)
        self._admitted_rows += rows

    def _hand_over(self) -> None:
        block, self._block = self._block, []
        if self.tunables.wait_ms == 0:
            blocks = [block]
        else:
            # Serve then waits for as many blocks as a forward has rows; a full request has nothing to wait for.
            self.worker.put([item for item in block if item.rows >= self.worker.limit])
            blocks = [[item] for item in block if item.rows < self.worker.limit]
        for each in blocks:
            task = self._loop.create_task(self._gather(each))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _put(self, blocks: list[Block]) -> list[None]:
        self.worker.put([item for block in blocks for item in block])
        return [None] * len(blocks)

    def _settle_all(self, ran: Ran) -> None:
        for part, answer in ran.answers:
            if isinstance(answer, Exception):
                part.item.settle(answer)
                part.item.abandoned = True
            elif (whole := join(part.item, answer)) is not None:
                part.item.settle(whole)
        self._observe(ran)


def _settler(future: asyncio.Future[Answer]) -> Callable[[Answer | Exception], None]:
    def settle(answer: Answer | Exception) -> None:
        if future.done():
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    return settle
