"""Percentiles with 95 % confidence intervals that hold for requests which meet the same stall.

Two intervals are made and the wider is shown: the one of order statistics, exact for independent values, and a
bootstrap over blocks of time, because neighbours in time share their fate and are worth less than their number.
"""

from dataclasses import dataclass

import numpy as np

from models.signature import Array

from .percentiles import rank

LEVELS = (0.5, 0.9, 0.99, 0.999)
_TAIL = 0.025
_BLOCKS = 40
_RESAMPLES = 400
# Width of the bins that the bootstrap sorts into: the bounds are good to this.
_BIN = 1.01


@dataclass(frozen=True, slots=True)
class Percentile:
    """`high` is None where so few values leave the percentile without an upper bound."""

    level: float
    value: float
    low: float
    high: float | None


def percentiles(times: Array, values: Array) -> list[Percentile]:
    """Return p50, p90, p99 and p99.9 of the values, which were seen at these times; empty where there are none."""
    if not len(values):
        return []
    ordered = np.sort(values)
    spread = _bootstrap(times, values)
    found = []
    for place, level in enumerate(LEVELS):
        low, high = ranks(len(values), level)
        below = min(float(ordered[low]), float(spread[0, place]))
        above = None if high is None else max(float(ordered[high]), float(spread[1, place]))
        value = float(ordered[rank(len(values), level)])
        found.append(Percentile(level, value, min(below, value), None if above is None else max(above, value)))
    return found


def ranks(count: int, level: float) -> tuple[int, int | None]:
    """Return the places of the bounds among so many sorted values that are independent; None where there is none."""
    cumulative = _binomial(count, level)
    low = int(np.searchsorted(cumulative, _TAIL))
    high = int(np.searchsorted(cumulative, 1 - _TAIL)) + 1
    return max(low - 1, 0), high - 1 if high <= count else None


def _binomial(count: int, chance: float) -> Array:
    """Return the distribution function of a binomial variable, at 0 to `count`."""
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, count + 1)))))
    hits = np.arange(count + 1)
    density = logs[count] - logs - logs[::-1] + hits * np.log(chance) + (count - hits) * np.log1p(-chance)
    return np.cumsum(np.exp(density))


def _bootstrap(times: Array, values: Array) -> Array:
    """Return the lower and the upper bound of each level, by drawing whole blocks of time with replacement."""
    start, stop = float(times.min()), float(times.max())
    block = np.minimum(((times - start) / max(stop - start, 1e-9) * _BLOCKS).astype(int), _BLOCKS - 1)
    floor = max(float(values.min()), 1e-9)
    bins = (np.log(np.maximum(values, floor) / floor) / np.log(_BIN)).astype(int)
    counts = np.zeros((_BLOCKS, int(bins.max()) + 1))
    np.add.at(counts, (block, bins), 1)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(_BLOCKS, np.full(_BLOCKS, 1 / _BLOCKS), _RESAMPLES)
    cumulative = np.cumsum(drawn @ counts, axis=1)
    places = [np.argmax(cumulative >= level * cumulative[:, -1:], axis=1) for level in LEVELS]
    edges = np.quantile(np.array(places), (_TAIL, 1 - _TAIL), axis=1)
    found: Array = floor * _BIN**edges
    return found
