"""How many rows fit into the device's memory, learned from forwards that ran out of it.

Only a new user_config or a new start raises the limit again: lost memory seldom comes back, and every try would cost a
whole batch of requests a failed forward.
"""

import logging
from bisect import bisect_left
from collections.abc import Sequence

_log = logging.getLogger("pitstop")


class MemoryLimit:
    """`rows` is None until a batch did not fit; `misses` counts the forwards that did not fit."""

    def __init__(self, sizes: Sequence[int] = ()) -> None:
        """Take the warmed batch sizes, ascending, to choose from; any size is allowed if there are none."""
        self._sizes = tuple(sizes)
        self.rows: int | None = None
        self.misses = 0

    def within(self, limit: int) -> int:
        return limit if self.rows is None else min(limit, self.rows)

    def below(self, rows: int) -> int | None:
        """Return the batch size to try after a forward of (padded) `rows` ran out of memory; None after the least."""
        if self.rows is not None and self.rows < rows:
            return self.rows
        if not self._sizes:
            return rows // 2 or None
        half = bisect_left(self._sizes, rows)
        return self._sizes[half - 1] if half else None

    def keep_to(self, rows: int, failed: int) -> None:
        """Limit later batches to `rows`, since one of `failed` did not fit."""
        if self.rows is None or rows < self.rows:
            self.rows = rows
            _log.warning(
                "out of memory at %d rows: from now on batches have at most %d\n"
                "help: write max_batch_size: %d into user_config, or into args, which also starts faster; "
                "or give this model more memory (num_gpus, another node)",
                failed,
                rows,
                rows,
            )

    def forget(self) -> None:
        """Try the configured size again."""
        self.rows = None
