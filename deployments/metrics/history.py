"""What one replica did in the last 15 minutes, in samples of 5 seconds, for the console.

A sample is a difference of totals that are counted anyway. Samples begin at multiples of 5 seconds of the clock, so
that those of several replicas add up (../console/series.py).
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from models.signature import Shape

from .efficiency import raw_seconds
from .statistics import Stats

EVERY_S = 5
KEPT = 180
# A sample of less than this says little.
_LEAST_S = 1.0


class History:
    """The samples of one replica. `look` is called about once a second, on the event loop."""

    def __init__(
        self,
        stats: Stats,
        raw_ms: Mapping[Shape, float],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stats, self._raw_ms = stats, raw_ms
        self._clock, self._monotonic = clock, monotonic
        self._samples: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._most_waiting = 0
        self._begin()

    def look(self, waiting_rows: int) -> None:
        """Note how many rows wait, and begin a sample if it is time for one."""
        self._most_waiting = max(self._most_waiting, waiting_rows)
        if self._slot() != self._at:
            self._samples.append(self._sample())
            self._begin(waiting_rows)

    def samples(self, waiting_rows: int) -> list[dict[str, Any]]:
        """Return the samples, the oldest first, and what there is of the current one.

        `at` is the second at which one begins, since 1970; `seconds` is its length. `waiting_rows` is the most that was
        seen to wait. `latencies` has how many requests were in which bucket of latencies.py. Times are sums in
        seconds, `raw_s` of what the same forwards took alone in the warm-up.
        """
        self._most_waiting = max(self._most_waiting, waiting_rows)
        current = self._sample()
        return [*self._samples, *([current] if current["seconds"] >= _LEAST_S else [])]

    def _begin(self, waiting_rows: int = 0) -> None:
        self._at, self._began_s, self._before = self._slot(), self._monotonic(), self._stats.copy()
        self._most_waiting = waiting_rows

    def _slot(self) -> int:
        return int(self._clock()) // EVERY_S * EVERY_S

    def _sample(self) -> dict[str, Any]:
        before, after = self._before, self._stats
        errors = {kind: total - before.errors.get(kind, 0) for kind, total in after.errors.items()}
        latencies = zip(before.latencies, after.latencies, strict=True)
        stages = {name: after.stage_s[name] - before.stage_s[name] for name in ("queue", "forward")}
        return {
            "at": self._at,
            "seconds": round(max(1e-3, self._monotonic() - self._began_s), 3),
            "requests": after.requests - before.requests,
            "rows": after.rows - before.rows,
            "padded_rows": after.padded_rows - before.padded_rows,
            "forwards": after.forwards - before.forwards,
            "waiting_rows": self._most_waiting,
            "queue_s": round(stages["queue"], 6),
            "forward_s": round(stages["forward"], 6),
            "busy_s": round(after.busy_s - before.busy_s, 6),
            "raw_s": round(raw_seconds(before, after, self._raw_ms), 6),
            "errors": {kind: new for kind, new in errors.items() if new},
            "latencies": {str(bucket): new - old for bucket, (old, new) in enumerate(latencies) if new > old},
        }
