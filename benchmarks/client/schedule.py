"""When requests are due in open loop: drawn before the first is sent, so that no server can slow the clock down."""

import numpy as np


def poisson(rate_rps: float, seconds: float, seed: int) -> list[float]:
    """Return arrival times in [0, seconds), in order, of a Poisson process: the same for the same seed."""
    rng = np.random.default_rng(seed)
    # Eight standard deviations more than are expected: running short does not happen.
    expected = rate_rps * seconds
    gaps = rng.exponential(1 / rate_rps, int(expected + 8 * expected**0.5 + 8))
    times = np.cumsum(gaps)
    return [float(time) for time in times[times < seconds]]
