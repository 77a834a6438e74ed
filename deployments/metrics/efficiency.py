"""How much of the forward's own speed reaches the clients, and where the rest goes.

Served rows a second, divided by the rows a second of the same forwards alone, as the warm-up timed them. Time without
work does not count: an idle model is not inefficient.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from models.signature import Shape

from .statistics import STAGES, Stats

_WINDOW = 10


class Efficiency:
    """The efficiency over the last ten readings, one a second."""

    def __init__(self, stats: Stats, raw_ms: Mapping[Shape, float]) -> None:
        self._stats = stats
        self._raw_ms = raw_ms
        self._looks: deque[Stats] = deque([stats.copy()], maxlen=_WINDOW)

    def look(self) -> None:
        """Take a reading of the totals."""
        self._looks.append(self._stats.copy())

    def as_json(self) -> dict[str, Any]:
        return _between(self._looks[0], self._stats, self._raw_ms)


def raw_seconds(before: Stats, after: Stats, raw_ms: Mapping[Shape, float]) -> float:
    """Return what the forwards between two moments took alone, as the warm-up timed their shapes."""
    ran = {shape: count - before.by_shape.get(shape, [0])[0] for shape, (count, _) in after.by_shape.items()}
    return sum(count * raw_ms[shape] / 1000 for shape, count in ran.items() if shape in raw_ms)


def _between(before: Stats, after: Stats, raw_ms: Mapping[Shape, float]) -> dict[str, Any]:
    """Compare the totals at two moments.

    Returns:
        `efficiency` is 0 to 1, or None if nothing ran: `rows_per_s` over `raw_rows_per_s`. `idle_share` is how long the
        device was idle while work waited, over the time of its forwards; `stages_ms` is the mean time of each stage per
        row.
    """
    rows, forwards = after.rows - before.rows, after.forwards - before.forwards
    busy_s = after.busy_s - before.busy_s
    raw_s = raw_seconds(before, after, raw_ms)
    if not rows or busy_s <= 0 or raw_s <= 0:
        return {"efficiency": None, "rows": 0, "forwards": 0}
    served, raw = rows / busy_s, (after.padded_rows - before.padded_rows) / raw_s
    stages = {name: after.stage_s[name] - before.stage_s[name] for name in STAGES}
    return {
        "efficiency": round(served / raw, 4),
        "rows": rows,
        "forwards": forwards,
        "rows_per_s": round(served, 1),
        "raw_rows_per_s": round(raw, 1),
        "padding_share": round(1 - rows / (after.padded_rows - before.padded_rows), 4),
        "idle_share": round((after.idle_s - before.idle_s) / max(stages["forward"], 1e-9), 4),
        "stages_ms": {name: round(1000 * seconds / rows, 5) for name, seconds in stages.items()},
    }
