"""What waits for the device, and which of it goes next. Pure: no Ray, no torch, and no clock but the one passed in."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from models.signature import Array, Rows

Answer = dict[str, Array]
Settle = Callable[[Answer | Exception], None]


@dataclass(slots=True, eq=False)
class Item:
    """One request's rows on their way through the device.

    `settle` gets the answer or the error, once, on the event loop. `abandoned` says that nobody waits any more.
    """

    arrays: Rows
    rows: int
    arrived_s: float
    deadline_s: float
    settle: Settle
    abandoned: bool = False
    taken: int = 0
    answers: list[Answer] = field(default_factory=list)


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


def take(waiting: deque[Item], limit: int, now_s: float) -> tuple[list[Part], int]:
    """Take the next batch of at most `limit` rows, first come first served.

    An item is split only where it alone is over the limit; one that merely does not fit opens the next batch. Items
    that nobody waits for, or whose deadline has passed, leave without costing a forward.

    Returns:
        The parts of the batch, and the number of rows that left the queue, dropped ones included.
    """
    parts: list[Part] = []
    rows = left = 0
    while waiting:
        item = waiting[0]
        missing = item.rows - item.taken
        if item.abandoned or now_s >= item.deadline_s:
            waiting.popleft()
            left += missing
            continue
        room = limit - rows
        if missing > room and (room == 0 or item.rows <= limit):
            break
        count = min(missing, room)
        parts.append(Part(item, item.taken, item.taken + count))
        item.taken += count
        rows += count
        if item.taken == item.rows:
            waiting.popleft()
    return parts, left + rows


def split(parts: list[Part], outputs: Answer) -> list[tuple[Part, Answer]]:
    """Give every part its own rows of a batch's outputs."""
    found, row = [], 0
    for part in parts:
        stop = row + part.stop - part.start
        found.append((part, {name: array[row:stop] for name, array in outputs.items()}))
        row = stop
    return found


def join(item: Item, answer: Answer) -> Answer | None:
    """Add a part's answer to its item; return the whole once every row is there. Parts arrive in order."""
    if not item.answers and answer_rows(answer) == item.rows:
        return answer
    item.answers.append(answer)
    if sum(answer_rows(each) for each in item.answers) < item.rows:
        return None
    return {name: np.concatenate([each[name] for each in item.answers]) for name in answer}


def answer_rows(answer: Answer) -> int:
    return int(next(iter(answer.values())).shape[0])
