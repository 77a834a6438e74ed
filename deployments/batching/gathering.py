"""Blocks of requests that `@serve.batch` gathers while the device is busy, or for as long as a wait is configured."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from ray import serve

from .queue import Item

Block = list[Item]
_log = logging.getLogger("pitstop")


class Gathering:
    """Hands each block on once, together with other blocks or alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pass_on: Callable[[Block], None]) -> None:
        self._loop = loop
        self._pass_on = pass_on
        self._tasks: set[asyncio.Task[None]] = set()
        # Decorated here, not in the class: Serve makes the queue at decoration, so two batchers would share one.
        self._gather: Any = serve.batch(max_batch_size=1, batch_wait_timeout_s=0, max_concurrent_batches=64)(self._put)

    def configure(self, wait_s: float, blocks: int) -> None:
        """Wait so long for so many blocks, also with the blocks that already wait."""
        self._gather.set_batch_wait_timeout_s(wait_s)
        self._gather.set_max_batch_size(blocks)

    def add(self, block: Block) -> None:
        task = self._loop.create_task(self._gather(block))
        self._tasks.add(task)
        task.add_done_callback(partial(self._gathered, block))

    async def _put(self, blocks: list[Block]) -> list[None]:
        self._pass_on([item for block in blocks for item in block])
        return [None] * len(blocks)

    def _gathered(self, block: Block, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # Serve's queue can break for good (ray-project/ray#66140); its blocks must not be lost with it.
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("@serve.batch failed, the block goes on without it", exc_info=error)
        if error is not None or task.cancelled():
            self._pass_on([item for item in block if not item.passed_on])
