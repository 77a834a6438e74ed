"""Requests to batches and back. Prevents mistake 5 (docs/five-mistakes.md): waiting requests share a forward.

The requests of one turn of the event loop make a block. A free device gets the block at once; if it is busy, or a wait
is configured, `@serve.batch` gathers blocks (gathering.py), and the device takes what waits when it is free again.
Waiting for a full batch inside `@serve.batch` would not fill it: Serve forms the next batch before a slot is free
(docs/architecture.md).
"""

import asyncio
import logging
import time
from collections.abc import Callable

from configs.schema import Tunables
from models.signature import Rows

from ..core.error_logging import internal_error, log_unheard
from ..core.errors import BadRequest, InferenceFailed, QueueFull, ServeError
from ..core.observation import ObservedProtocol
from ..core.request import IsDisconnected
from .answers import joined
from .batch_result import BatchResult
from .deadlines import Deadlines
from .device_protocol import DeviceProtocol
from .gathering import Block, Gathering
from .queue import Answer, Item, OnResult

_DROP_EVERY_S = 0.1
_log = logging.getLogger("pitstop")


class Batcher:
    """The event loop's side of a model's queue."""

    def __init__(
        self,
        tunables: Tunables,
        max_batch_size: int,
        device: DeviceProtocol,
        observe: Callable[[BatchResult], None],
        best_rows: int | None = None,
        whole: bool = False,
    ) -> None:
        """Batch as many rows as the tunables say, by default `best_rows`; never more than `max_batch_size`.

        If the rows of a request belong together, `whole`, it gets a forward of its own.
        """
        self._loop = asyncio.get_running_loop()
        self._observe = observe
        self._max_rows = max_batch_size
        self._whole = whole
        # Rows that cannot be split must not be refused because fewer are faster.
        self._best_rows = max_batch_size if whole else best_rows or max_batch_size
        self._block: Block = []
        self._held_rows = 0
        # Rows admitted that a hook has now, before or after their forward.
        self.rows_in_hooks = 0
        self.offered_rows = 0
        self._dropped_s = 0.0
        self._deadlines = Deadlines(self._loop)
        # The error of every new request while the replica cannot answer; health/ sets it.
        self.closed: ServeError | None = None
        self._device = device
        device.listen(self._deliver_all)
        self._gathering = Gathering(self._loop, self._pass_on)
        self.reconfigure(tunables)

    def reconfigure(self, tunables: Tunables) -> None:
        """Change limits in place, also for the requests that already wait."""
        self.tunables = tunables
        # What the start timed is a default; a number in the YAML is a decision.
        self._device.set_limit(min(tunables.max_batch_size or self._best_rows, self._max_rows))
        self._gathering.configure(tunables.batch_wait_timeout_s, self.limit)

    @property
    def limit(self) -> int:
        """Most rows in one forward."""
        return self._device.limit

    @property
    def waiting_rows(self) -> int:
        """Rows admitted that wait for a forward, or that a hook has."""
        return self.rows_in_hooks + self._held_rows + self._device.waiting_rows

    def add(
        self,
        arrays: Rows,
        rows: int,
        on_result: OnResult,
        timeout_s: float | None = None,
        priority: int = 0,
        is_disconnected: IsDisconnected | None = None,
        seed: int | None = None,
        observed: ObservedProtocol | None = None,
    ) -> Item:
        """Queue rows, which may share forwards with other clients'; `on_result` gets the answer or an error, once.

        With a seed, or if the batcher is `whole`, they get a forward of their own, which draws from the seed.
        `observed` hears how long they waited for each forward, and how long it took, before the answer.

        The error is TimedOut if no answer came within request_timeout_s, or `timeout_s` if that is shorter;
        InferenceFailed if the model raised on these rows alone.

        Raises:
            QueueFull: the bound on waiting rows is reached.
            BadRequest: the request alone has more rows than that bound, or more than one forward takes and must not
                be split.
            Unavailable: the replica is unhealthy.
        """
        self.admit(rows, seed)
        self.offered_rows += rows
        now = time.perf_counter()
        allowed = self.allowed_s(timeout_s)
        item = Item(arrays, rows, now, now + allowed, on_result, priority, is_disconnected, observed)
        if seed is not None or self._whole:
            item.whole, item.seed = True, seed
        self._deadlines.watch(item, allowed)
        if not self._block:
            self._loop.call_soon(self._hand_over)
        self._block.append(item)
        self._held_rows += rows
        return item

    def admit(self, rows: int, seed: int | None = None) -> None:
        """Raise what `add` would raise for so many rows."""
        if seed is not None or self._whole:
            self._refuse_to_split(rows)
        if self.closed is not None:
            raise self.closed.with_traceback(None)  # Else it keeps the frames of every request that it refused.
        bound = self.tunables.max_queue_size
        if self.waiting_rows + rows > bound:
            self._drop_expired()
            if self.waiting_rows + rows > bound:
                raise self._refusal(rows)

    def allowed_s(self, timeout_s: float | None) -> float:
        """Return how long a request with this timeout, or with none, may take."""
        return self.tunables.request_timeout_s if timeout_s is None else min(timeout_s, self.tunables.request_timeout_s)

    def end_all(self, error: ServeError) -> None:
        """End every waiting request, and every later one, with this error."""
        self.closed = error
        self._deadlines.end_all(error)

    def _drop_expired(self) -> None:
        """Drop what nobody waits for any more; not at each request, which would cost too much under overload."""
        now = time.perf_counter()
        if now - self._dropped_s >= _DROP_EVERY_S:
            self._dropped_s = now
            self._device.drop_expired()

    def _refusal(self, rows: int) -> Exception:
        bound = self.tunables.max_queue_size
        if rows > bound:
            return BadRequest(f"the request has {rows} rows, this model takes at most {bound} at once: split it")
        # Rows refused for want of room count too: the autoscaling policy reads the load that was offered.
        self.offered_rows += rows
        return QueueFull(self.tunables.retry_after_s)

    def _refuse_to_split(self, rows: int) -> None:
        # Not the limit: with a seed the answer must not depend on what the start timed.
        most = min(self.tunables.max_batch_size or self._max_rows, self._max_rows)
        if rows > most:
            why = "its rows belong together" if self._whole else "it has a seed"
            raise BadRequest(
                f"the request has {rows} rows, and {why}: one forward takes it, and at most {most} rows; send fewer"
            )

    def _hand_over(self) -> None:
        block, self._block = self._block, []
        if self.tunables.batch_wait_timeout_s:
            self._gather_one_by_one(block)
        elif self._device.idle:
            self._pass_on(block)
        else:
            self._gathering.add(block)

    def _gather_one_by_one(self, block: Block) -> None:
        """Gather the requests one by one: Serve waits for as many blocks as a forward has rows."""
        full = []
        for item in block:
            # A full request has nothing to wait for.
            if item.whole or item.rows >= self.limit:
                full.append(item)
            else:
                self._gathering.add([item])
        if full:
            self._pass_on(full)

    def _pass_on(self, items: Block) -> None:
        for item in items:
            item.passed_on = True
            self._held_rows -= item.rows
        try:
            self._device.put(items)
        except Exception as error:  # On the event loop nobody else would answer these requests.
            for item in items:
                self._end(item, InferenceFailed(error))

    def _deliver_all(self, ran: BatchResult) -> None:
        if ran.broken is not None:
            self._deadlines.end_all(internal_error("the device's threads", ran.broken, None))
            return
        now = time.perf_counter()
        for part, answer in ran.answers:
            item = part.item
            if item.abandoned:
                log_unheard(answer, item.ended_by)
                continue
            if item.observed is not None:
                item.observed.forward(max(0.0, ran.ended_s - ran.forward_s - item.arrived_s), ran.forward_s)
            whole = joined(part, answer)
            if whole is not None:
                self._end(item, whole)
                ran.request_s.append(now - item.arrived_s)
        try:
            self._observe(ran)
        except Exception as error:  # A lost figure must not cost anybody an answer.
            _log.error("a batch could not be counted", exc_info=error)

    def _end(self, item: Item, answer: Answer | Exception) -> None:
        self._deadlines.forget(item)
        item.end(answer)
