"""The queue between the event loop, which puts, and the device's threads, which take."""

import threading
import time
from collections.abc import Sequence

from .memory_limit import MemoryLimit
from .queue import Item, Part, Policy, Waiting


class SharedQueue:
    """`Waiting` under a lock, and the most rows in a forward: as many as configured, or as fit into memory.

    `limit` is the configured number; an int is set and read without the lock.
    """

    def __init__(self, policy: Policy, memory_limit: MemoryLimit) -> None:
        self.policy = policy
        self.limit = 1
        self._memory_limit = memory_limit
        self._waiting = Waiting(policy)
        # The transport of an item that ends in `put` may call `put` again, with another request.
        self._lock = threading.RLock()

    @property
    def rows(self) -> int:
        """Rows that no forward has taken yet."""
        return self._waiting.rows

    @property
    def most(self) -> int:
        """Most rows in a forward now."""
        return self._memory_limit.within(self.limit)

    @property
    def full(self) -> bool:
        """Whether no more rows can join the next batch."""
        waiting = self._waiting
        return waiting.rows >= self.most or 0 < waiting.rows == waiting.whole_rows

    def put(self, items: Sequence[Item]) -> None:
        with self._lock:
            for item in items:
                self._waiting.append(item)

    def take(self) -> list[Part]:
        """Take the next batch; an empty one if nobody waits any more."""
        with self._lock:
            return self._waiting.take(self.most, time.perf_counter())

    def drop_expired(self) -> None:
        """Drop the items that nobody waits for any more."""
        with self._lock:
            self._waiting.drop_expired(time.perf_counter())

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._waiting.clear()
