"""Arithmetic of padded batches: which warmed size a batch takes. Pure; no torch, no clock."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from ..signature import Array


def powers_of_two(limit: int) -> tuple[int, ...]:
    """Return 1, 2, 4, … up to and including `limit`, which need not be a power itself."""
    sizes = [1 << exponent for exponent in range(limit.bit_length()) if 1 << exponent < limit]
    return (*sizes, limit)


def round_up(count: int, sizes: tuple[int, ...]) -> int:
    """Return the smallest of `sizes` that holds `count`; past the last, `count` itself."""
    index = bisect_left(sizes, count)
    return sizes[index] if index < len(sizes) else count


def fill(target: Array, parts: Sequence[Array], pad: float | bytes = 0.0) -> int:
    """Copy parts one below another into `target`, pad what is left, and return the number of real rows.

    Padding rows are copies of the last row, whose values the model can take. Open sizes are filled with `pad`.
    """
    row = 0
    if len(parts) > 1 and all(part.shape[1:] == target.shape[1:] for part in parts):
        row = sum(part.shape[0] for part in parts)
        np.concatenate(parts, out=target[:row])
        parts = []
    for part in parts:
        stop = row + part.shape[0]
        if part.shape[1:] == target.shape[1:]:
            target[row:stop] = part
        else:
            target[row:stop] = pad
            target[(slice(row, stop), *(slice(size) for size in part.shape[1:]))] = part
        row = stop
    if 0 < row < target.shape[0]:
        target[row:] = target[row - 1]
    return row
