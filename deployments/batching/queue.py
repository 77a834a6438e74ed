"""What waits for the device. Pure: no Ray, no torch, and no clock but the one passed in.

The queue keeps the order, and asks a policy which items share the next forward: fifo.py or grouping.py. The
simulations of `pitstop plan` and of the benchmarks run this very queue.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, filterfalse
from operator import attrgetter
from typing import NamedTuple, Protocol

from models.signature import Array, Rows, Sizes

from ..core.errors import InferenceFailed
from ..core.observation import ObservedProtocol
from ..core.request import IsDisconnected

Answer = dict[str, Array]
OnResult = Callable[[Answer | Exception], None]

# 1 goes first. The protocol's 0, or none given, counts as the middle, so that there is room on both sides.
LEVELS = 10
_DEFAULT = 5
_is_whole = attrgetter("whole")
_log = logging.getLogger("pitstop")


@dataclass(slots=True, eq=False)
class Item:
    """One request's rows on their way through the device.

    `on_result` gets the answer or the error, once, on the event loop. `abandoned` says that nobody waits any more;
    `is_disconnected` asks the transport the same. `observed` hears of its forwards. `passed_on`: the device has it,
    so that gathering.py does not pass it on again. `sizes` are those of a batch for its rows, () if all rows are alike,
    and `level` is its priority. `whole`: all its rows go into one forward, without other items; `seed` is of that
    forward's random numbers. `taken` counts the rows that are already in a batch. `answers`: the results so far, by
    first row of each part; `ended_by` is the error, if any.
    """

    arrays: Rows
    rows: int
    arrived_s: float
    deadline_s: float
    on_result: OnResult
    priority: int = 0
    is_disconnected: IsDisconnected | None = None
    observed: ObservedProtocol | None = None
    sizes: Sizes = ()
    level: int = _DEFAULT
    whole: bool = False
    seed: int | None = None
    abandoned: bool = False
    passed_on: bool = False
    taken: int = 0
    answers: dict[int, Answer] = field(default_factory=dict)
    ended_by: Exception | None = None

    def end(self, answer: Answer | Exception) -> None:
        """Deliver its result, unless that was done or nobody waits any more."""
        if not self.abandoned:
            self.abandoned = True
            if isinstance(answer, Exception):
                self.ended_by = answer
            try:
                self.on_result(answer)
            except Exception as error:  # Those behind it must get theirs.
                _log.error("an answer could not be handed over", exc_info=error)

    def is_expired(self, now_s: float) -> bool:
        """Whether a forward would be wasted on what is left of it."""
        if self.abandoned or now_s >= self.deadline_s:
            return True
        return self.is_disconnected is not None and self.is_disconnected()


class Part(NamedTuple):
    """A stretch of one item's rows, in one batch."""

    item: Item
    start: int
    stop: int

    @property
    def arrays(self) -> Rows:
        if self.stop - self.start == self.item.rows:
            return self.item.arrays
        return {name: array[self.start : self.stop] for name, array in self.item.arrays.items()}


class Policy(Protocol):
    """Says which items share the next forward. Pure: it changes no item."""

    def sizes(self, arrays: Rows, /) -> Sizes:
        """Return the open sizes of a batch for a request's rows, () where rows are all alike."""

    def choose(self, levels: Sequence[Iterable[Item]], rows: int, limit: int) -> list[tuple[Item, int]]:
        """Return the items of the next batch, each with how many of the rows that it has left.

        Args:
            levels: what waits, by priority and then by age. An item that is not looked at costs nothing.
            rows: how many rows wait in all.
            limit: most rows in a forward.
        """


class Waiting:
    """Items in order, by priority and then first come first served, of which the policy chooses."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        # By priority; the inner ones are dicts for their order, since any item may leave.
        self._levels: dict[int, dict[Item, None]] = {}
        self.rows = 0
        # How many of them are of items that share no forward.
        self.whole_rows = 0

    def __bool__(self) -> bool:
        return self.rows > 0

    def append(self, item: Item) -> None:
        try:
            item.sizes = self._policy.sizes(item.arrays)
        except Exception as error:  # Its rows cannot be read; those behind it must not be lost with it.
            item.end(InferenceFailed(error))
            return
        item.level = min(item.priority or _DEFAULT, LEVELS)
        self._levels.setdefault(item.level, {})[item] = None
        self.rows += item.rows
        if item.whole:
            self.whole_rows += item.rows

    def clear(self) -> None:
        """Forget everything."""
        self._levels.clear()
        self.rows = self.whole_rows = 0

    def drop_expired(self, now_s: float) -> None:
        """Let go of items that nobody waits for, or whose deadline has passed, wherever they stand."""
        self._drop([item for level in self._levels.values() for item in level if item.is_expired(now_s)])

    def take(self, limit: int, now_s: float) -> list[Part]:
        """Take the next batch, of at most `limit` rows.

        An item is split only where it has more rows than the policy takes in one forward, which may be fewer than
        `limit`; one that merely does not fit opens the next batch. An item that is whole waits for its turn, and then
        goes alone, whatever the limit.
        Items that nobody waits for, or whose deadline has passed, leave without costing a forward.
        """
        expired: list[Item] = []
        levels = [_not_expired(level, now_s, expired) for _, level in sorted(self._levels.items())]
        parts = []
        chosen = self._choose(levels, limit) if self.whole_rows else self._policy.choose(levels, self.rows, limit)
        for item, rows in chosen:
            parts.append(Part(item, item.taken, item.taken + rows))
            item.taken += rows
            self.rows -= rows
            if item.whole:
                self.whole_rows -= rows
            if item.taken == item.rows:
                del self._levels[item.level][item]
        self._drop(expired)
        return parts

    def _choose(self, levels: list[Iterator[Item]], limit: int) -> list[tuple[Item, int]]:
        """Choose where some items are whole: the first alone if it is, else of those that are not."""
        for number, level in enumerate(levels):
            first = next(level, None)
            if first is None:
                continue
            if first.whole:
                return [(first, first.rows)]
            behind = [chain([first], level), *levels[number + 1 :]]
            shared = [filterfalse(_is_whole, each) for each in behind]
            return self._policy.choose(shared, self.rows - self.whole_rows, limit)
        return []

    def _drop(self, items: Iterable[Item]) -> None:
        for item in items:
            self.rows -= item.rows - item.taken
            if item.whole:
                self.whole_rows -= item.rows - item.taken
            del self._levels[item.level][item]


def _not_expired(level: Iterable[Item], now_s: float, expired: list[Item]) -> Iterator[Item]:
    """Yield a level's items, but for the expired ones, which are noted."""
    for item in level:
        if item.is_expired(now_s):
            expired.append(item)
        else:
            yield item
