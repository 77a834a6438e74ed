"""The policy where rows are all of one shape: first come first served, as many as a forward holds, or fewer. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise
from types import MappingProxyType

from models.signature import Rows, Shape, Sizes

from .queue import Item

# What lies between two forwards, at a guess on the high side: a thread wakes, rows are collated and handed out.
TURN_MS = 0.1
_NOT_TIMED: Mapping[Shape, float] = MappingProxyType({})


class Fifo:
    """Takes fewer rows than wait where that is sooner for all, by the forward's time of each warmed shape, in ms."""

    def __init__(self, forward_ms: Mapping[Shape, float] = _NOT_TIMED) -> None:
        self._fewer = rows_to_take(forward_ms)

    def sizes(self, _: Rows) -> Sizes:
        return ()

    def choose(self, levels: Sequence[Iterable[Item]], rows: int, limit: int) -> list[tuple[Item, int]]:
        """Return the oldest items of the highest priorities, of at most `limit` rows; see queue.Policy."""
        limit = self._fewer.get(min(rows, limit), limit)
        room = limit
        chosen: list[tuple[Item, int]] = []
        for item in chain.from_iterable(levels):
            # Only an item over the limit, as it now is, is split; any other opens the next batch.
            left = item.rows - item.taken
            if left > room and item.rows <= limit:
                break
            chosen.append((item, left if left < room else room))
            room -= left
            if room <= 0:
                break
        return chosen


def rows_to_take(forward_ms: Mapping[Shape, float]) -> dict[int, int]:
    """Return how many of so many waiting rows, all of one size, the next forward should take, where that is not all.

    Padded to the next warmed size, five rows may take as long as eight: on a CPU core, whose time grows with the rows,
    four and then one are through sooner, and whoever comes meanwhile joins the one. Where the device takes nearly as
    long for four as for eight, a GPU as a rule, all five go at once. So fewer are taken only where even the last of
    them is answered no later than if all went together.
    """
    ms = {rows: each for (rows, _), each in forward_ms.items()}
    sooner: dict[int, int] = {}
    through = {0: 0.0}
    for smaller, size in pairwise((0, *sorted(ms))):
        for rows in range(smaller + 1, size + 1):
            through[rows] = TURN_MS + ms[size]
            # Down to a warmed size, which pads nothing.
            if smaller and rows < size and ms[smaller] + TURN_MS + through[rows - smaller] <= through[rows]:
                through[rows] = ms[smaller] + TURN_MS + through[rows - smaller]
                sooner[rows] = smaller
    return sooner
