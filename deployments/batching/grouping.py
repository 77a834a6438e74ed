"""The policy for rows of different sizes: which of the waiting rows share a forward. Pure; no torch, no clock.

A batch is padded to its largest row and to a warmed number of rows. On a CPU core, whose time grows with both, four
short texts and then four long ones end long before all eight together would; a GPU, which takes nearly as long for four
as for eight, takes all. The start has timed every shape, so the sums of these times decide.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from math import prod
from operator import le

from models.runtime.dims import OpenSizes, largest
from models.runtime.forward_times import WINS
from models.runtime.padding import round_up
from models.signature import Rows, Shape, Sizes

from .fifo import TURN_MS, Fifo
from .queue import Item

# How many requests are considered for a batch: enough to find similar sizes, few enough to be cheap.
_WINDOW = 128


class Grouping:
    """Groups by the forward's time of each warmed shape, in ms. An ingress replica gets a copy of the device's one.

    `open_sizes` reads the sizes of a request's arrays.
    """

    def __init__(self, forward_ms: Mapping[Shape, float], open_sizes: OpenSizes) -> None:
        self._open_sizes = open_sizes
        self._several = len(open_sizes.dims) > 1
        self._sizes = tuple(sorted({rows for rows, _ in forward_ms}))
        padded = [round_up(count, self._sizes) for count in range(self._sizes[-1] + 1)]
        # Computed for every number of rows, since a batch needs some hundred of them.
        self._ms: dict[Sizes, list[float]] = {
            sizes: [forward_ms[size, sizes] + TURN_MS for size in padded] for _, sizes in forward_ms
        }
        # Of sizes that were not warmed: those of the last requests, since each is asked for many times.
        self._scaled: dict[Sizes, list[float]] = {}
        self._fifo = Fifo()

    def sizes(self, arrays: Rows) -> Sizes:
        """Return the open sizes of a batch for a request's rows, each input of shape [rows, ...]."""
        return self._open_sizes.batch([arrays])

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
                alike = [item for item in window if self._open_sizes.may_join(item.sizes, window[0].sizes)]
                return self._fifo.choose(
                    [alike] if self._open_sizes.unpadded else [chain(window, behind), *lower], rows, limit
                )
            # Items over the limit are left out here; each is split when it becomes the oldest.
            fit = [
                item for item in window if item.rows <= limit and self._open_sizes.may_join(item.sizes, window[0].sizes)
            ]
            places = self.with_first([item.rows for item in fit], [item.sizes for item in fit], limit)
            chosen = [fit[place] for place in places]
            return [(item, item.rows) for item in chosen + self._alongside(chosen, lower, limit)]
        return []

    def with_first(self, rows: Sequence[int], sizes: Sequence[Sizes], limit: int) -> list[int]:
        """Return which requests share the next forward, by their place in the queue; the first is always among them.

        All are divided into the batches that together take the least time. A batch is a stretch of the requests in
        order of size, since each row is padded to the largest one of its batch; where several sizes are open, in order
        of the time that a row takes alone.

        Args:
            rows: of each request, none more than `limit`.
            sizes: of each, as padded.
            limit: most rows in a forward.
        """
        order = sorted(range(len(rows)), key=lambda place: self._rank(sizes[place]))
        ends = [0, *accumulate(rows[each] for each in order)]
        tops = [*(size for size in self._sizes if size < limit), limit]
        hold = _Largest([sizes[each] for each in order]) if self._several else None
        through_ms, starts = [0.0], [0]
        for stop, last in enumerate(order, 1):
            end, ms, least, start = ends[stop], self._of(sizes[last]), float("inf"), stop - 1
            for top in tops:
                first = bisect_left(ends, end - top, 0, stop)
                if first == stop:
                    continue
                if hold is not None:
                    ms = self._of(hold(first, stop))
                took = through_ms[first] + ms[end - ends[first]]
                if took < least:
                    least, start = took, first
            through_ms.append(least)
            starts.append(start)
        at = order.index(0)
        stop = len(order)
        while starts[stop] > at:
            stop = starts[stop]
        return _oldest_first(order, starts[stop], stop, rows, sizes)

    def room(self, rows: int, sizes: Sizes, limit: int) -> int:
        """Return the most rows of these sizes whose forward takes about as long as one of `rows`."""
        ms = self._of(sizes)
        tops = (rows, *self._sizes, min(limit, self._sizes[-1]))
        return max(size for size in tops if rows <= size <= limit and WINS * ms[size] <= ms[rows])

    def _alongside(self, chosen: Sequence[Item], levels: Sequence[Iterable[Item]], limit: int) -> list[Item]:
        """Return items of lower levels that do not make the forward of the chosen ones longer."""
        joining = []
        rows, held = sum(item.rows for item in chosen), largest([item.sizes for item in chosen])
        room = self.room(rows, held, limit) - rows
        for level in levels:
            if not room:
                break
            for item in _first(iter(level), limit):
                fits = self._open_sizes.may_join(item.sizes, held) and all(map(le, item.sizes, held))
                if item.rows <= room and fits and not item.taken:
                    joining.append(item)
                    room -= item.rows
        return joining

    def _rank(self, sizes: Sizes) -> tuple[float, Sizes]:
        return (self._of(sizes)[1] if self._several else 0.0), sizes

    def _of(self, sizes: Sizes) -> list[float]:
        """Return the time by number of rows."""
        ms = self._ms.get(sizes) or self._scaled.get(sizes)
        if ms is not None:
            return ms
        # Not warmed: scaled from the next that was, or from the largest.
        near = tuple(
            min(round_up(size, dim.sizes), dim.sizes[-1])
            for size, dim in zip(sizes, self._open_sizes.dims, strict=True)
        )
        if len(self._scaled) >= _WINDOW:
            self._scaled.clear()
        ms = self._scaled[sizes] = [each * prod(sizes) / prod(near) for each in self._ms[near]]
        return ms


class _Largest:
    """Returns the largest of each size in a stretch, of which a batch needs thousands; from the largest of every
    stretch whose length is a power of two.
    """

    def __init__(self, several: Sequence[Sizes]) -> None:
        self._of = [list(several)]
        while (length := 1 << len(self._of)) <= len(several):
            half = self._of[-1]
            self._of.append([_pair(*each) for each in zip(half, half[length >> 1 :], strict=False)])

    def __call__(self, start: int, stop: int) -> Sizes:
        power = (stop - start).bit_length() - 1
        whole = self._of[power]
        return _pair(whole[start], whole[stop - (1 << power)])


def _pair(one: Sizes, other: Sizes) -> Sizes:
    return one if one == other else tuple(map(max, one, other))


def _first(level: Iterator[Item], limit: int) -> list[Item]:
    """Return the first items of a level, enough for at least one forward."""
    window: list[Item] = []
    rows = 0
    while (len(window) < _WINDOW or rows < limit) and (item := next(level, None)) is not None:
        window.append(item)
        rows += item.rows
    return window


def _oldest_first(
    order: Sequence[int], start: int, stop: int, rows: Sequence[int], sizes: Sequence[Sizes]
) -> list[int]:
    """Return a stretch of the order, in which no request overtakes an older one of the same sizes and rows."""
    chosen = set(order[start:stop])
    for each_sizes in {sizes[order[start]], sizes[order[stop - 1]]}:
        alike = [each for each in order if sizes[each] == each_sizes]
        if len({rows[each] for each in alike}) == 1:
            count = len(chosen.intersection(alike))
            chosen = chosen.difference(alike) | set(alike[:count])
    return sorted(chosen)
