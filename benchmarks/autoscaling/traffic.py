"""Traffic as it comes: a rate over time. Described shapes, not recorded ones."""

import math
from dataclasses import dataclass

from pitstop.measure.arrivals import Share, poisson


@dataclass(frozen=True, slots=True)
class Shape:
    """`share` is the rate at a time in seconds, as a share of the highest, 0 to 1."""

    name: str
    what: str
    lasts_s: float
    share: Share

    def arrivals(self, peak_rps: float, seed: int) -> list[float]:
        """Return the times in seconds at which requests come."""
        return list(poisson(peak_rps, self.lasts_s, seed, self.share))


def step(at_s: float) -> float:
    return 1.0 if 600 <= at_s < 1800 else 0.2


def ramp(at_s: float) -> float:
    return 0.1 + 0.9 * (1 - abs(at_s - 1800) / 1800)


def spike(at_s: float) -> float:
    return 1.0 if 900 <= at_s % 1800 < 960 else 0.2


def day(at_s: float) -> float:
    """Lowest at four in the morning, highest at four in the afternoon; an hour takes 150 seconds."""
    return 0.525 - 0.475 * math.cos(2 * math.pi * (at_s / 150 - 4) / 24)


SHAPES = (
    Shape("step", "a fifth of the peak, then the peak for 20 minutes", 3000, step),
    Shape("ramp", "up from a tenth to the peak in 30 minutes, and down again", 3600, ramp),
    Shape("spike", "a fifth of the peak, and the peak for one minute in thirty", 3600, spike),
    Shape("day", "a day between 5 and 100 % of the peak, told 24 times as fast", 3600, day),
)
