"""From answers to figures: percentiles of one round, and what several rounds say together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from .client.sample import Sample, steady


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


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values do not exceed (nearest rank); NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    # Rounded, since 0.07 * 100 is a little more than 7 and must not become rank 8.
    rank = -int(-round(share * len(ordered), 9) // 1)
    return ordered[max(rank, 1) - 1]


def closed_round(sample: Sample, from_s: float, to_s: float) -> Round:
    rate_rps, latencies = steady(sample, from_s, to_s)
    return _round(sample, rate_rps, latencies)


def open_round(sample: Sample) -> Round:
    """Return an open loop's figures. All its answers count, those of the start too."""
    took_s = sample.finished_s[-1] if sample.finished_s else 0.0
    rate_rps = len(sample.finished_s) / took_s if took_s else 0.0
    return _round(sample, rate_rps, list(sample.latency_s), 1000 * percentile(list(sample.late_s), 0.99))


def middle(rounds: Sequence[Round], name: str) -> float:
    """Return the median over rounds of one of their figures."""
    return float(median(getattr(each, name) for each in rounds))


def spread(values: Sequence[float]) -> float:
    """Return how far values lie apart: half their range as a share of their median."""
    centre = median(values)
    return (max(values) - min(values)) / 2 / centre if centre else 0.0


def _round(sample: Sample, rate_rps: float, latencies: Sequence[float], late_p99_ms: float | None = None) -> Round:
    return Round(
        rate_rps=rate_rps,
        p50_ms=1000 * percentile(latencies, 0.50),
        p99_ms=1000 * percentile(latencies, 0.99),
        answers=len(latencies),
        client_cpu=sample.cpu_share,
        errors=dict(sample.errors),
        late_p99_ms=late_p99_ms,
        gpu_busy=sample.gpu_busy,
    )
