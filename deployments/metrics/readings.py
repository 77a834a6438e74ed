"""What a replica's metrics show beside Stats, read once a second."""

import math
from dataclasses import dataclass

# A gauge of NaN is not exported: nothing was measured, or there is no such thing in this replica.
NOTHING = math.nan


@dataclass(frozen=True, slots=True)
class Readings:
    """The values now; the last three are totals since the start.

    `healthy` is 1 or 0, and NOTHING in a replica without a device. Targets are those of the config.
    """

    queue_rows: int
    queue_limit_rows: int
    queue_target_ms: float = NOTHING
    p99_target_ms: float = NOTHING
    healthy: float = NOTHING
    probes: int = 0
    out_of_memory: int = 0
    unwarmed: int = 0
