"""The policy for rows of different lengths: which of the waiting rows share a forward. Pure; no torch, no clock.

A batch is padded to its longest row and to a warmed number of rows. On a CPU core, whose time grows with both, four
short texts and then four long ones end long before all eight together would; a GPU, which takes nearly as long for four
as for eight, takes all. The start has timed every shape, so the sums of these times decide.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain

from models.runtime.forward_times import WINS
from models.runtime.padding import padded_length, round_up
from models.signature import Rows, Shape

from .fifo import TURN_MS, Fifo
from .queue import Item

# How many requests are considered for a batch: enough to find similar lengths, few enough to be cheap.
_WINDOW = 128


class Grouping:
    """Groups by the forward's time of each warmed shape, (rows, length), in ms.

    `open_inputs` are the names of the inputs that differ in length. An ingress replica gets a copy of the device's one.
    """

    def __init__(self, forward_ms: Mapping[Shape, float], open_inputs: Sequence[str]) -> None:
        self._open_inputs = tuple(open_inputs)
        self._lengths = tuple(sorted({length for _, length in forward_ms}))
        self._sizes = tuple(sorted({rows for rows, _ in forward_ms}))
        padded = [round_up(count, self._sizes) for count in range(self._sizes[-1] + 1)]
        # Computed for every number of rows, since a batch needs some hundred of them.
        self._ms: dict[int, list[float]] = {
            length: [forward_ms[size, length] + TURN_MS for size in padded] for _, length in forward_ms
        }
        self._fifo = Fifo()

    def length(self, arrays: Rows) -> int:
        """Return the padded length of a request's rows, each input of shape [rows, ...]."""
        return padded_length([arrays], self._open_inputs, self._lengths)

    def choose(self, levels: Sequence[Iterable[Item]], rows: int, limit: int) -> list[tuple[Item, int]]:
        """Return those that go with the oldest of the highest priority, and whoever joins them at no cost.

        An oldest item that must be split, or was begun, goes by the order alone; see queue.Policy.
        """
        for number, level in enumerate(levels):
            behind = iter(level)
            window, lower = _first(behind, limit), levels[number + 1 :]
            if not window:
                continue
            if window[0].rows > limit or window[0].taken:
                return self._fifo.choose([chain(window, behind), *lower], rows, limit)
            # Items over the limit are left out here; each is split when it becomes the oldest.
            fit = [item for item in window if item.rows <= limit]
            places = self.with_first([item.rows for item in fit], [item.length for item in fit], limit)
            chosen = [fit[place] for place in places]
            return [(item, item.rows) for item in chosen + self._alongside(chosen, lower, limit)]
        return []

    def with_first(self, rows: Sequence[int], lengths: Sequence[int], limit: int) -> list[int]:
        """Return which requests share the next forward, by their place in the queue; the first is always among them.

        All are divided into the batches that together take the least time. A batch is a stretch of the requests in
        order of length, since each row is padded to the longest one of its batch.

        Args:
            rows: of each request, none more than `limit`.
            lengths: the padded length of each.
            limit: most rows in a forward.
        """
        order = sorted(range(len(rows)), key=lengths.__getitem__)
        ends = [0, *accumulate(rows[each] for each in order)]
        tops = [*(size for size in self._sizes if size < limit), limit]
        through_ms, starts = [0.0], [0]
        for stop, last in enumerate(order, 1):
            ms, end = self._of_length(lengths[last]), ends[stop]
            least = float("inf")
            start = stop - 1
            for top in tops:
                first = bisect_left(ends, end - top, 0, stop)
                if first == stop:
                    continue
                took = through_ms[first] + ms[end - ends[first]]
                if took < least:
                    least, start = took, first
            through_ms.append(least)
            starts.append(start)
        at = order.index(0)
        stop = len(order)
        while starts[stop] > at:
            stop = starts[stop]
        return _oldest_first(order, starts[stop], stop, rows, lengths)

    def room(self, rows: int, length: int, limit: int) -> int:
        """Return the most rows of this length whose forward takes about as long as one of `rows`."""
        ms = self._of_length(length)
        tops = (rows, *self._sizes, min(limit, self._sizes[-1]))
        return max(size for size in tops if rows <= size <= limit and WINS * ms[size] <= ms[rows])

    def _alongside(self, chosen: Sequence[Item], levels: Sequence[Iterable[Item]], limit: int) -> list[Item]:
        """Return items of lower levels that do not make the forward of the chosen ones longer."""
        joining = []
        rows, length = sum(item.rows for item in chosen), max(item.length for item in chosen)
        room = self.room(rows, length, limit) - rows
        for level in levels:
            if not room:
                break
            for item in _first(iter(level), limit):
                if item.rows <= room and item.length <= length and not item.taken:
                    joining.append(item)
                    room -= item.rows
        return joining

    def _of_length(self, length: int) -> list[float]:
        """Return the time by number of rows."""
        ms = self._ms.get(length)
        # Beyond the warmed lengths: scaled from the longest.
        return [each * length / self._lengths[-1] for each in self._ms[self._lengths[-1]]] if ms is None else ms


def _first(level: Iterator[Item], limit: int) -> list[Item]:
    """Return the first items of a level, enough for at least one forward."""
    window: list[Item] = []
    rows = 0
    while (len(window) < _WINDOW or rows < limit) and (item := next(level, None)) is not None:
        window.append(item)
        rows += item.rows
    return window


def _oldest_first(
    order: Sequence[int], start: int, stop: int, rows: Sequence[int], lengths: Sequence[int]
) -> list[int]:
    """Return a stretch of the order, in which no request overtakes an older one of the same length and rows."""
    chosen = set(order[start:stop])
    for length in {lengths[order[start]], lengths[order[stop - 1]]}:
        alike = [each for each in order if lengths[each] == length]
        if len({rows[each] for each in alike}) == 1:
            count = len(chosen.intersection(alike))
            chosen = chosen.difference(alike) | set(alike[:count])
    return sorted(chosen)
