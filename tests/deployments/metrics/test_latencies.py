"""Percentiles from fixed buckets are near the exact ones, also for several replicas together."""

import random

import pytest

from deployments.metrics import latencies


def counted(values_s: list[float]) -> dict[int, int]:
    counts = [0] * latencies.BUCKETS
    latencies.count(counts, values_s)
    return dict(enumerate(counts))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("middle_s", [0.0005, 0.02, 3.0])
def test_a_percentile_is_within_a_tenth_of_the_exact_one(share: float, middle_s: float) -> None:
    drawn = random.Random(1)
    values = [middle_s * drawn.lognormvariate(0, 0.7) for _ in range(20_000)]
    exact_ms = 1000 * sorted(values)[int(share * len(values))]
    assert latencies.percentile_ms(counted(values), share) == pytest.approx(exact_ms, rel=0.1)


def test_counts_of_two_replicas_add_up_to_the_percentile_of_both() -> None:
    fast, slow = counted([0.001] * 99), counted([1.0] * 99)
    both = {bucket: fast[bucket] + slow[bucket] for bucket in fast}
    assert latencies.percentile_ms(both, 0.4) == pytest.approx(1, rel=0.2)
    assert latencies.percentile_ms(both, 0.6) == pytest.approx(1000, rel=0.2)


def test_without_a_request_there_is_no_percentile() -> None:
    assert latencies.percentile_ms({}, 0.5) is None
    assert latencies.percentile_ms({3: 0}, 0.5) is None


@pytest.mark.parametrize("value_s", [0.0, -1e-9, 1e-9, 1e9])
def test_what_is_outside_of_the_edges_is_counted_too(value_s: float) -> None:
    counts = counted([value_s])
    assert sum(counts.values()) == 1
    assert latencies.percentile_ms(counts, 0.99)
