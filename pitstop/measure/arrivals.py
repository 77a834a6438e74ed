"""When requests are due: fixed before the first is sent, so that no server can slow the clock down.

Pure: a rate and a seed give the same times everywhere, which is what makes two runs at one rate comparable.
"""

import random
from collections.abc import Callable, Iterator
from math import inf

# The rate at a time in seconds, as a share of the highest, 0 to 1.
Share = Callable[[float], float]


def poisson(rate_rps: float, seconds: float = inf, seed: int = 0, share: Share | None = None) -> Iterator[float]:
    """Yield rising times in [0, seconds) of a Poisson process: users who know nothing of each other.

    Args:
        rate_rps: arrivals a second.
        seconds: when the process ends.
        seed: the same for the same times.
        share: for a rate that changes: what part of `rate_rps` it is at each time. The others are left out (thinning).
    """
    draw = random.Random(seed)
    due = draw.expovariate(rate_rps)
    while due < seconds:
        if share is None or draw.random() < share(due):
            yield due
        due += draw.expovariate(rate_rps)
