"""What a replica reports to the policy: rows that wait, run and arrive, and how long forwards take now.

Everything is a difference between two readings of totals that are counted anyway, so a request costs nothing more.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.signature import Shape

from ..autoscaling.policy import COMING, FORWARD, LOOP, RUNNING, STARTED, WAITING
from .statistics import Stats


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts since the start at one moment; `cpu_s` is the event loop's own time on a core."""

    at_s: float
    cpu_s: float
    offered_rows: int
    stats: Stats


class Recorder:
    """Keeps the last reading; call `look` on the event loop's thread, whose CPU time it reads."""

    def __init__(self, stats: Stats, raw_ms: Mapping[Shape, float], started_s: float = 0.0) -> None:
        """Begin; `started_s` is how long the start of this replica took."""
        self._stats = stats
        # Until a size has run, the warm-up's time for its longest rows is used.
        self._forward_ms: dict[int, float] = {}
        for (rows, _), ms in raw_ms.items():
            self._forward_ms[rows] = max(ms, self._forward_ms.get(rows, 0.0))
        self._turn_ms = 0.0
        self._started_s = started_s
        self._last = Totals(time.monotonic(), time.thread_time(), 0, stats.copy())

    def look(
        self,
        waiting_rows: int,
        offered_rows: int,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> dict[str, float]:
        """Return the report for the time since the last call.

        Args:
            waiting_rows: rows that wait now.
            offered_rows: rows that arrived since the start.
            limit: most rows in one forward, as configured now.
            clock: wall-clock seconds.
            cpu: seconds that this thread spent on a core.
        """
        before, now = self._last, Totals(clock(), cpu(), offered_rows, self._stats.copy())
        self._last = now
        passed_s = max(now.at_s - before.at_s, 1e-6)
        old, new = before.stats, now.stats
        self._learn(old, new)
        forwards = new.forwards - old.forwards
        rows_a_forward = (new.rows - old.rows) / forwards if forwards else 0.0
        forward_s = new.stage_s["forward"] - old.stage_s["forward"]
        return {
            WAITING: waiting_rows,
            RUNNING: rows_a_forward * forward_s / passed_s,
            COMING: (now.offered_rows - before.offered_rows) / passed_s,
            LOOP: min(1.0, max(0.0, now.cpu_s - before.cpu_s) / passed_s),
            STARTED: self._started_s,
            **{f"{FORWARD}{rows}": ms + self._turn_ms for rows, ms in self._sizes(limit).items()},
        }

    def _learn(self, before: Stats, now: Stats) -> None:
        ran: dict[int, tuple[float, float]] = {}
        for shape, (count, total_s) in now.by_shape.items():
            old_count, old_s = before.by_shape.get(shape, (0, 0.0))
            if shape[0] in self._forward_ms and count > old_count:
                seen, seen_s = ran.get(shape[0], (0, 0.0))
                ran[shape[0]] = (seen + count - old_count, seen_s + total_s - old_s)
        for rows, (count, total_s) in ran.items():
            self._forward_ms[rows] = 1000 * total_s / count
        if forwards := now.forwards - before.forwards:
            self._turn_ms = max(0.0, 1000 * (now.idle_s - before.idle_s) / forwards)

    def _sizes(self, limit: int) -> dict[int, float]:
        smallest = min(self._forward_ms, default=0)
        return {rows: ms for rows, ms in self._forward_ms.items() if rows <= max(limit, smallest)}
