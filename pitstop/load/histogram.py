"""Latencies sorted into bins that grow by a constant factor: a tail a thousand times the median still fits."""

from dataclasses import dataclass

import numpy as np

from models.signature import Array

_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)


@dataclass(frozen=True, slots=True)
class Bin:
    """Values from `low` up to, and without, `high`."""

    low: float
    high: float
    count: int


def histogram(values: Array) -> list[Bin]:
    """Return adjoining bins with round edges that hold all values; empty where there are none."""
    if not len(values):
        return []
    edges = _edges(float(values.min()), float(values.max()))
    counts, _ = np.histogram(values, edges)
    return [Bin(low, high, int(count)) for low, high, count in zip(edges, edges[1:], counts, strict=False)]


def _edges(least: float, most: float) -> list[float]:
    """Return round numbers from the last at or below `least` to the first above `most`."""
    floor = max(least, 1e-6)
    decade = int(np.floor(np.log10(floor)))
    marks = [float(f"{step}e{power}") for power in range(decade, decade + 12) for step in _STEPS]
    first = max((place for place, mark in enumerate(marks) if mark <= floor), default=0)
    last = next((place for place, mark in enumerate(marks) if mark > most), len(marks) - 1)
    return [0.0 if not place and least < floor else mark for place, mark in enumerate(marks[first : last + 1])]
