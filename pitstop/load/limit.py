"""Tells whether the client itself was the limit: then the figures are its own, not the server's."""

from collections.abc import Sequence

import numpy as np

from models.signature import Array

from ..measure.percentiles import percentile
from .record import Record

# Of a latency, the share that the client may add before it is told.
_SHARE = 0.1
_LEAST_S = 1e-4
_CPU = 0.9
_LEVELS = (0.5, 0.99)


def reasons(record: Record, latencies_s: Array) -> list[str]:
    """Return what was wrong on the client's side; empty where nothing was."""
    found = []
    if record.cpu_share >= _CPU:
        found.append(f"the client was at {record.cpu_share:.0%} of a core, and Python uses no more than one")
    if record.queued:
        found.append(f"{record.queued} requests waited in the client for a connection: allow more by --most")
    if len(latencies_s):
        found += _late(record, latencies_s)
    return found


def _late(record: Record, latencies_s: Array) -> list[str]:
    """Compare how late the client was with what it measured, at the median and at the tail."""
    found: Sequence[tuple[str, Array]] = (
        ("requests were sent late", np.asarray(record.late_s)),
        ("the client's event loop was behind", np.asarray(record.lag_s)),
    )
    for what, late_s in found:
        for level in _LEVELS:
            if not len(late_s):
                continue
            late, latency = percentile(late_s, level), percentile(latencies_s, level)
            if late > max(_LEAST_S, _SHARE * latency):
                name = f"p{level * 100:g}"
                return [f"{what}: {name} by {late * 1e3:.2f} ms, of a latency of {latency * 1e3:.2f} ms"]
    return []
