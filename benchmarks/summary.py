"""From answers to figures: percentiles of one round, and what several rounds say together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from models.signature import Array
from pitstop.load.record import Record
from pitstop.measure.percentiles import percentile


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement.

    late_p99_ms: how long after their time the client sent requests, in open loop; gpu_busy: the GPU's utilisation, a
    share of 1, where there is one.
    """

    rate_rps: float
    p50_ms: float
    p99_ms: float
    answers: int
    client_cpu: float
    errors: Mapping[str, int] = field(default_factory=dict)
    late_p99_ms: float | None = None
    gpu_busy: float | None = None


def closed_round(record: Record, from_s: float, to_s: float, gpu_busy: float | None = None) -> Round:
    """Return a closed loop's figures between two moments."""
    rate_rps, latencies_s = steady(record, from_s, to_s)
    return _round(record, rate_rps, latencies_s, None, gpu_busy)


def open_round(record: Record, gpu_busy: float | None = None) -> Round:
    """Return an open loop's figures. All its answers count, those of the start too."""
    ended_s = ended(record)
    rate_rps = len(ended_s) / ended_s[-1] if len(ended_s) else 0.0
    return _round(record, rate_rps, record.latency_s, 1000 * percentile(record.late_s, 0.99), gpu_busy)


def ended(record: Record) -> Array:
    """Return when each answer came, in seconds from the start."""
    return np.add(record.due_s, record.latency_s, dtype=float)


def steady(record: Record, from_s: float, to_s: float) -> tuple[float, Array]:
    """Return the answers a second between two moments, and their latencies in seconds.

    Answers come in bursts, one for each batch, so the time is counted from the last answer before the window to the
    last one in it: whole bursts over the time they took, however few fit in.
    """
    ended_s = ended(record)
    inside = (from_s < ended_s) & (ended_s <= to_s)
    if not inside.any():
        return 0.0, np.array([])
    took_s = ended_s[inside].max() - ended_s[ended_s <= from_s].max(initial=0.0)
    return float(inside.sum() / took_s), np.asarray(record.latency_s)[inside]


def middle(rounds: Sequence[Round], name: str) -> float:
    """Return the median over rounds of one of their figures."""
    return float(median(getattr(each, name) for each in rounds))


def spread(values: Sequence[float]) -> float:
    """Return how far values lie apart: half their range as a share of their median."""
    centre = median(values)
    return (max(values) - min(values)) / 2 / centre if centre else 0.0


def _round(
    record: Record,
    rate_rps: float,
    latencies_s: Sequence[float] | Array,
    late_p99_ms: float | None,
    gpu_busy: float | None,
) -> Round:
    return Round(
        rate_rps=rate_rps,
        p50_ms=1000 * percentile(latencies_s, 0.50),
        p99_ms=1000 * percentile(latencies_s, 0.99),
        answers=len(latencies_s),
        client_cpu=record.cpu_share,
        errors=dict(Counter(kind for _, kind in record.failures)),
        late_p99_ms=late_p99_ms,
        gpu_busy=gpu_busy,
    )
