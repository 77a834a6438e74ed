"""A device in another process: an ingress replica sends it whole blocks, at most two at a time.

Two, so that one is sent while the other is in its forward; not more, so that the rest waits here, where it can still
share a block, be overtaken by a higher priority, or be dropped when its client leaves.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from models.runtime.dims import Cut, below
from models.signature import Array, Tensor

from ..core.errors import BY_KIND, InferenceFailed, NotReady
from .answers import split
from .batch_result import BatchResult
from .failure_isolation import Answers
from .fifo import Fifo
from .grouping import Grouping
from .queue import Answer, Item, Part, Waiting

BLOCKS_ON_THEIR_WAY = 2
# The device's replica answers a block when its time is up; this much later it is taken for lost.
_PATIENCE_S = 5.0
_log = logging.getLogger("pitstop")
# ("answer", outputs), or an error's kind and its arguments.
BlockReply = tuple[str, Any]
# Takes the arrays, their number of rows, the seconds left, the number of requests, and a seed.
Send = Callable[[dict[str, Array], int, float, int, int | None], Awaitable[BlockReply]]


class RemoteDevice:
    """Sends blocks and hands their answers to `done`, all on the event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Send,
        model_inputs: Sequence[Tensor] = (),
        grouping: Grouping | None = None,
        cut: Cut | None = None,
    ) -> None:
        """Send on the loop; `model_inputs` say what rows are padded with, `cut` takes the padding out of answers."""
        self._loop = loop
        self._done: Callable[[BatchResult], None]
        self._send = send
        self._pads = {tensor.name: tensor.pad for tensor in model_inputs}
        self._cut = cut
        self._waiting = Waiting(grouping or Fifo())
        self._tasks: set[asyncio.Task[None]] = set()
        self.limit = 1

    def set_limit(self, rows: int) -> None:
        """Put at most so many rows into a block."""
        self.limit = rows

    def listen(self, done: Callable[[BatchResult], None]) -> None:
        """Hand what ran to `done`, on the event loop."""
        self._done = done

    @property
    def waiting_rows(self) -> int:
        return self._waiting.rows

    @property
    def idle(self) -> bool:
        return not self._tasks

    def put(self, items: Sequence[Item]) -> None:
        for item in items:
            self._waiting.append(item)
        self._go_on()

    def drop_expired(self) -> None:
        """Drop the items that nobody waits for any more."""
        self._waiting.drop_expired(time.perf_counter())

    def _go_on(self) -> None:
        while self._waiting and len(self._tasks) < BLOCKS_ON_THEIR_WAY:
            try:
                parts = self._waiting.take(self.limit, time.perf_counter())
            except Exception as error:  # Not foreseen: the queue is lost, and `broken` tells those who wait.
                self._waiting.clear()
                self._done(BatchResult([], 0, (0, ()), broken=error))
                return
            if parts:
                task = self._loop.create_task(self._cross(parts))
                self._tasks.add(task)
                task.add_done_callback(self._crossed)

    def _crossed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._go_on()

    async def _cross(self, parts: list[Part]) -> None:
        began = sent = time.perf_counter()
        rows = sum(part.stop - part.start for part in parts)
        try:
            arrays = collate([part.arrays for part in parts], self._pads)
            sent = time.perf_counter()
            answers = await self._answers(parts, arrays, rows, sent)
        except Exception as error:  # Not foreseen: every request must still get an answer.
            answers = [(part, InferenceFailed(error)) for part in parts]
        back = time.perf_counter()
        ran = BatchResult(answers, rows, (rows, ()), collate_s=sent - began, forward_s=back - sent, ended_s=back)
        ran.waited_s = began - min(part.item.arrived_s for part in parts)
        ran.row_wait_s = sum((began - part.item.arrived_s) * (part.stop - part.start) for part in parts)
        ran.busy_s = back - began
        self._done(ran)

    async def _answers(self, parts: list[Part], arrays: dict[str, Array], rows: int, sent_s: float) -> Answers:
        timeout_s = max(part.item.deadline_s for part in parts) - sent_s
        answer = await self._ask(arrays, rows, timeout_s, len(parts), parts[0].item.seed)
        if not isinstance(answer, Exception):
            return list(split(parts, answer, self._cut))
        if isinstance(answer, InferenceFailed) and len(parts) > 1:
            return [(part, await self._alone(part)) for part in parts]
        return [(part, answer) for part in parts]

    async def _alone(self, part: Part) -> Answer | Exception:
        """Ask again for one request of a failed block, so that only the guilty one fails."""
        left_s = part.item.deadline_s - time.perf_counter()
        return await self._ask(dict(part.arrays), part.stop - part.start, left_s, 1)

    async def _ask(
        self, arrays: dict[str, Array], rows: int, timeout_s: float, requests: int, seed: int | None = None
    ) -> Answer | Exception:
        try:
            # A stopped process would hold the block, and one of the two places, for ever.
            async with asyncio.timeout(timeout_s + _PATIENCE_S):
                kind, value = await self._send(arrays, rows, timeout_s, requests, seed)
        except Exception as error:  # Ray has many errors for a lost replica; a client gets one.
            _log.warning("no replica with a device took a block of %d rows (%s)", rows, type(error).__name__)
            return NotReady()
        if kind == "answer":
            answer: Answer = value
            return answer
        return BY_KIND[kind](*value)


def collate(parts: Sequence[Any], pads: Mapping[str, float]) -> dict[str, Array]:
    """Put the rows of several requests below one another; open sizes take the largest, padded as the input is."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: below([part[name] for part in parts], pads.get(name, 0.0)) for name in parts[0]}
