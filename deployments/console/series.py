"""The samples of a model's replicas (../metrics/history.py) as one series of figures for charts. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.errors import PAGE_REFUSED
from ..metrics.latencies import percentile_ms

Sample = Mapping[str, Any]
Point = dict[str, float | int | None]


def series(histories: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return lists of equal length, one entry for each 5 seconds, of all replicas together.

    `at` is in seconds since 1970. None stands where there was nothing to measure, such as a latency without a request.
    `errors` has a list for each kind, of counts, but for what is refused to pages such as the one that draws them.
    """
    slots: dict[int, list[tuple[Sample, int]]] = defaultdict(list)
    for history in histories:
        for sample in history["samples"]:
            slots[sample["at"]].append((sample, history["limits"]["max_batch_size"]))
    points = [_point(at, slots[at]) for at in sorted(slots)]
    errors = [_sums(sample["errors"] for sample, _ in slots[at]) for at in sorted(slots)]
    kinds = sorted({kind for each in errors for kind in each if kind != PAGE_REFUSED})
    return {
        **{key: [point[key] for point in points] for key in points[0]},
        "errors": {kind: [each.get(kind, 0) for each in errors] for kind in kinds},
    } if points else {"at": [], "errors": {}}  # fmt: skip


def _point(at: int, samples: Sequence[tuple[Sample, int]]) -> Point:
    total = _sums(sample for sample, _ in samples)
    latencies = {int(bucket): int(found) for bucket, found in _sums(s["latencies"] for s, _ in samples).items()}
    could_hold = sum(sample["forwards"] * limit for sample, limit in samples)
    served = _over(total["rows"], total["busy_s"])
    return {
        "at": at,
        "replicas": len(samples),
        "requests_per_s": _rate(samples, "requests"),
        "rows_per_s": _rate(samples, "rows"),
        "p50_ms": _rounded(percentile_ms(latencies, 0.5)),
        "p99_ms": _rounded(percentile_ms(latencies, 0.99)),
        "waiting_rows": int(total["waiting_rows"]),
        "queue_ms": _rounded(_over(1000 * total["queue_s"], total["rows"])),
        "forward_ms": _rounded(_over(1000 * total["forward_s"], total["forwards"])),
        "rows_per_forward": _rounded(_over(total["rows"], total["forwards"])),
        "not_padding": _rounded(_over(total["rows"], total["padded_rows"])),
        "full": _rounded(_over(total["rows"], could_hold)),
        "busy": _rounded(_over(_rate(samples, "forward_s"), len(samples))),
        # As efficiency.Efficiency has it: rows served in the time that there was work, over the raw forward's.
        "efficiency": _rounded(_over(served, _over(total["padded_rows"], total["raw_s"]))),
    }


def _rate(samples: Sequence[tuple[Sample, int]], key: str) -> float:
    """Return the sum of the replicas' rates a second: the sample that is not over yet may have another length."""
    return round(float(sum(sample[key] / sample["seconds"] for sample, _ in samples)), 4)


def _sums(counts: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the sum of every number, by its key."""
    sums: dict[str, float] = defaultdict(int)
    for each in counts:
        for key, value in each.items():
            if isinstance(value, int | float):
                sums[key] += value
    return sums


def _over(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
