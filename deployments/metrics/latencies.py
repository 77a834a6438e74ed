"""Latencies in fixed buckets: cheap to count, and the counts of several replicas add up. Pure.

Each bucket ends at 1.19 times the one before, so that a percentile is within a tenth of the exact one.
"""

from bisect import bisect
from collections.abc import Iterable, Mapping, MutableSequence

# 0.05 ms to 100 s, in seconds. What is above the last edge has a bucket of its own.
EDGES_S = [0.00005 * 2 ** (step / 4) for step in range(85)]
BUCKETS = len(EDGES_S) + 1


def count(counts: MutableSequence[int], latencies_s: Iterable[float]) -> None:
    """Add latencies to the counts, of which there is one for each bucket."""
    for latency_s in latencies_s:
        counts[bisect(EDGES_S, latency_s)] += 1


def percentile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """Return the latency that `share` of them do not exceed, by counts of buckets; None where there are none."""
    sought = share * sum(counts.values())
    seen = 0
    for bucket, found in sorted(counts.items()):
        if found and seen + found >= sought:
            return 1000 * _inside(bucket, max(0.0, sought - seen) / found)
        seen += found
    return None


def _inside(bucket: int, part: float) -> float:
    """Return the latency at this part of a bucket, as if its latencies were spread evenly on a logarithmic scale."""
    high = EDGES_S[min(bucket, len(EDGES_S) - 1)]
    low = EDGES_S[bucket - 1] if bucket else high / 2
    return float(low * (high / low) ** part)
