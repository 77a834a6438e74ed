"""Which of the rows that wait share a forward, where their lengths differ. Pure; no torch, no clock.

A batch is padded to its longest row and to a warmed number of rows. On a CPU core, whose time grows with both, four
short texts and then four long ones are through long before all eight together; a GPU, which takes nearly as long for
four as for eight, takes all. The start has timed every shape, so the sums decide.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

from models.padding import round_up
from models.rates import TURN_MS
from models.signature import Shape


class Grouping:
    """Groups by the forward's time of each warmed shape, (rows, length), in ms."""

    def __init__(self, forward_ms: Mapping[Shape, float]) -> None:
        self._ms = dict(forward_ms)
        self._sizes = tuple(sorted({rows for rows, _ in forward_ms}))
        self._longest = max(length for _, length in forward_ms)

    def with_first(self, rows: Sequence[int], lengths: Sequence[int], limit: int) -> list[int]:
        """Return which requests share the next forward, by their place in the queue; the first is always among them.

        All are divided into batches that together take the least time: by length, since a row costs as much as the
        longest beside it, a batch is a stretch of the requests in order of length.

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
            length, end = lengths[last], ends[stop]
            least = float("inf")
            start = stop - 1
            for top in tops:
                first = bisect_left(ends, end - top, 0, stop)
                if first == stop:
                    continue
                ms = through_ms[first] + self._forward_ms(end - ends[first], length) + TURN_MS
                if ms < least:
                    least, start = ms, first
            through_ms.append(least)
            starts.append(start)
        at = order.index(0)
        stop = len(order)
        while starts[stop] > at:
            stop = starts[stop]
        return sorted(order[starts[stop] : stop])

    def _forward_ms(self, rows: int, length: int) -> float:
        size = round_up(rows, self._sizes)
        ms = self._ms.get((size, length))
        # Longer than any that was warmed: by its length, as the longest.
        return self._ms[size, self._longest] * length / self._longest if ms is None else ms
