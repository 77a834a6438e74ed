"""What waits for the device, and which of it goes next. Pure: no Ray, no torch, and no clock but the one passed in."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from models.signature import Array, Rows

from ..errors import InferenceFailed
from .grouping import Grouping

Answer = dict[str, Array]
OnResult = Callable[[Answer | Exception], None]
IsDisconnected = Callable[[], bool]

# 1 goes first. The protocol's 0, or none given, counts as the middle, so that there is room on both sides.
LEVELS = 10
_DEFAULT = 5

# How many requests are looked at to find those of like length: enough choice, and a bound on what the looking costs.
_WINDOW = 128
_log = logging.getLogger("pitstop")


@dataclass(slots=True, eq=False)
class Item:
    """One request's rows on their way through the device.

    `length` is the padded length of its open sizes, 0 where rows are all alike.
    `on_result` gets the answer or the error, once, on the event loop. `abandoned` says that nobody waits any more;
    `is_disconnected` asks the transport the same. `answers` has those of its parts, by their first row; `ended_by` is
    the error, if any.
    """

    arrays: Rows
    rows: int
    arrived_s: float
    deadline_s: float
    on_result: OnResult
    priority: int = 0
    is_disconnected: IsDisconnected | None = None
    length: int = 0
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


class Waiting:
    """Items in the order they will be served: by priority, then first come first served.

    Where lengths differ, `grouping` says which of a priority's items go with its oldest; others join at no cost.
    """

    def __init__(self) -> None:
        self._levels: list[deque[Item]] = [deque() for _ in range(LEVELS)]
        self.rows = 0
        self.grouping: Grouping | None = None

    def __bool__(self) -> bool:
        return self.rows > 0

    def append(self, item: Item) -> None:
        if self.grouping is not None:
            try:
                item.length = self.grouping.length(item.arrays)
            except Exception as error:  # Its rows cannot be read; those behind it must not be lost with it.
                item.end(InferenceFailed(error))
                return
        self._levels[min(item.priority or _DEFAULT, LEVELS) - 1].append(item)
        self.rows += item.rows

    def clear(self) -> None:
        """Forget everything."""
        for level in self._levels:
            level.clear()
        self.rows = 0

    def drop_expired(self, now_s: float) -> None:
        """Let go of items that nobody waits for, or whose deadline has passed, wherever they stand."""
        for level in self._levels:
            kept = [item for item in level if not item.is_expired(now_s)]
            if len(kept) < len(level):
                self.rows += sum(item.rows - item.taken for item in kept)
                self.rows -= sum(item.rows - item.taken for item in level)
                level.clear()
                level.extend(kept)

    def take(self, limit: int, now_s: float) -> list[Part]:
        """Take the next batch, of at most `limit` rows.

        An item is split only where it alone is over the limit; one that merely does not fit opens the next batch.
        Items that nobody waits for, or whose deadline has passed, leave without costing a forward.
        """
        if self.grouping is not None:
            for number, level in enumerate(self._levels):
                window = self._first(level, limit, now_s)
                if window and window[0].rows <= limit and not window[0].taken:
                    parts = self._together(self.grouping, level, window, limit)
                    return parts + self._alongside(self.grouping, parts, self._levels[number + 1 :], limit, now_s)
                level.extendleft(reversed(window))
                if window:
                    break
        return self._take(limit, now_s)

    def _first(self, level: deque[Item], limit: int, now_s: float) -> list[Item]:
        """Take the first items off a level, a forward's worth at least, but for those without a point."""
        window: list[Item] = []
        rows = 0
        while level and (len(window) < _WINDOW or rows < limit):
            item = level.popleft()
            if item.is_expired(now_s):
                self.rows -= item.rows - item.taken
            else:
                window.append(item)
                rows += item.rows
        return window

    def _together(self, grouping: Grouping, level: deque[Item], window: list[Item], limit: int) -> list[Part]:
        # One that must be split is so when it is the oldest.
        fit = [item for item in window if item.rows <= limit]
        places = grouping.with_first([item.rows for item in fit], [item.length for item in fit], limit)
        return self._leave(level, window, [fit[place] for place in places])

    def _alongside(
        self, grouping: Grouping, parts: list[Part], levels: Sequence[deque[Item]], limit: int, now_s: float
    ) -> list[Part]:
        """Take from lower levels what makes the forward no longer."""
        found: list[Part] = []
        rows, length = sum(part.stop for part in parts), max(part.item.length for part in parts)
        room = grouping.room(rows, length, limit) - rows
        for level in levels:
            if not room:
                break
            window, chosen = self._first(level, limit, now_s), []
            for item in window:
                if item.rows <= room and item.length <= length and not item.taken:
                    chosen.append(item)
                    room -= item.rows
            found += self._leave(level, window, chosen)
        return found

    def _leave(self, level: deque[Item], window: list[Item], chosen: list[Item]) -> list[Part]:
        """Let the chosen items go whole, and put the others back."""
        for item in chosen:
            item.taken = item.rows
            self.rows -= item.rows
        level.extendleft(reversed([item for item in window if item.taken < item.rows]))
        return [Part(item, 0, item.rows) for item in chosen]

    def _take(self, limit: int, now_s: float) -> list[Part]:
        parts: list[Part] = []
        room = limit
        for level in self._levels:
            while level:
                item = level[0]
                missing = item.rows - item.taken
                if item.is_expired(now_s):
                    level.popleft()
                    self.rows -= missing
                    continue
                if missing > room and (room == 0 or item.rows <= limit):
                    return parts
                count = min(missing, room)
                parts.append(Part(item, item.taken, item.taken + count))
                item.taken += count
                self.rows -= count
                room -= count
                if item.taken == item.rows:
                    level.popleft()
        return parts


def split(parts: list[Part], outputs: Answer) -> list[tuple[Part, Answer]]:
    """Give every part its own rows of a batch's outputs."""
    found, row = [], 0
    for part in parts:
        stop = row + part.stop - part.start
        found.append((part, {name: array[row:stop] for name, array in outputs.items()}))
        row = stop
    return found


def join(part: Part, answer: Answer) -> Answer | None:
    """Add a part's answer to its item; return the whole once every row is there, in whichever order parts came.

    Behind ingress replicas two blocks of one item are on their way at a time, and the later one may be back first.
    """
    item = part.item
    if not item.answers and answer_rows(answer) == item.rows:
        return answer
    item.answers[part.start] = answer
    if sum(answer_rows(each) for each in item.answers.values()) < item.rows:
        return None
    return {name: np.concatenate([item.answers[start][name] for start in sorted(item.answers)]) for name in answer}


def answer_rows(answer: Answer) -> int:
    return int(next(iter(answer.values())).shape[0])
