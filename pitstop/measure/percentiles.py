"""The percentile of everything that is measured here: exact, by nearest rank, so always a value that was seen."""

from collections.abc import Sequence
from math import ceil, nan

import numpy as np

from models.signature import Array


def percentile(values: Sequence[float] | Array, level: float) -> float:
    """Return the least value that this share of the values, 0 to 1, does not exceed; NaN where there are none."""
    count = len(values)
    if not count:
        return nan
    place = rank(count, level)
    return float(np.partition(np.asarray(values, dtype=float), place)[place])


def rank(count: int, level: float) -> int:
    """Return the place of a percentile among so many sorted values."""
    # Without the rounding, 0.99 of 100 is a hair above 99.
    return max(ceil(round(level * count, 9)) - 1, 0)
