"""Rows a second by batch size, from what the warm-up timed, and which size is fastest."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from ..signature import Shape, Sizes

# Below this share of the best rate a batch size is slower; above it, a start's timings cannot tell which is faster.
_NEARLY = 0.97
# Timings of one start scatter by a few per cent: only a forward that takes less than this share of another's is faster.
WINS = 0.95
# A later start runs a shape a few times only. Below this share of an earlier one's time, that one was disturbed.
_DISTURBED = 0.9


@dataclass(frozen=True, slots=True)
class Rate:
    """A batch size, and rows a second at it."""

    rows: int
    rows_s: float


def best_rows(forward_ms: Mapping[Shape, float]) -> int | None:
    """Return the smallest batch size with nearly the most rows a second, over all open sizes; None if none was timed.

    On a GPU that is usually the largest. A CPU core is often fastest at a few rows, whose data still fits its caches;
    larger batches would only make their requests wait.
    """
    if not forward_ms:
        return None
    best: dict[Sizes, float] = {}
    for (rows, sizes), ms in forward_ms.items():
        best[sizes] = max(best.get(sizes, 0.0), rows / ms)
    shares: dict[int, list[float]] = {}
    for (rows, sizes), ms in forward_ms.items():
        # As a share of the best rate at these sizes; else the largest inputs alone would decide.
        shares.setdefault(rows, []).append(rows / ms / best[sizes])
    rates = {rows: sum(each) / len(each) for rows, each in shares.items()}
    enough = _NEARLY * max(rates.values())
    return min(rows for rows, rate in rates.items() if rate >= enough)


def undisturbed(kept_ms: Mapping[Shape, float], ran_ms: Mapping[Shape, float]) -> dict[Shape, float]:
    """Return what an earlier start timed, in ms, corrected by what ran again if a shape of it is clearly faster now.

    Of a shape that ran again the smaller time counts. The others are faster by the median of these.
    """
    shares = {shape: ran_ms[shape] / ms for shape, ms in kept_ms.items() if shape in ran_ms}
    if min(shares.values(), default=1.0) >= _DISTURBED:
        return dict(kept_ms)
    others = median(shares.values())
    return {shape: ms * min(1.0, shares.get(shape, others)) for shape, ms in kept_ms.items()}


def ends(forward_ms: Mapping[Shape, float]) -> tuple[Rate, Rate]:
    """Return the rates of the smallest batch size and of the fastest, at the smallest sizes."""
    least = min(sizes for _, sizes in forward_ms)
    rates = [Rate(rows, 1000 * rows / ms) for (rows, sizes), ms in forward_ms.items() if sizes == least]
    return min(rates, key=lambda rate: rate.rows), max(rates, key=lambda rate: rate.rows_s)
