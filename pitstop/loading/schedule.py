"""When requests are due in open loop: fixed before the first is sent, so that no server can slow the clock down.

Pure: a rate and a seed give the same times everywhere, which is what makes two probes of one rate comparable.
"""

import random
from collections.abc import Iterator


def poisson(rate_rps: float, seconds: float, seed: int = 0) -> Iterator[float]:
    """Yield arrival times in [0, seconds), rising, of a Poisson process: users who know nothing of each other."""
    draw = random.Random(seed).expovariate
    due = draw(rate_rps)
    while due < seconds:
        yield due
        due += draw(rate_rps)
