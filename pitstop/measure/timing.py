"""Times one call again and again for a while: a budget, and how far it may be left for enough runs."""

import sys
import time
from collections.abc import Callable
from math import inf


def times_ms(
    call: Callable[[], object],
    budget_s: float,
    least_runs: int,
    patience: float = inf,
    most_runs: int = sys.maxsize,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Return what each run took, in the order they ran.

    Args:
        call: what is timed; it is warm already.
        budget_s: how long to go on.
        least_runs: so many runs are worth more time than that,
        patience: but no more than so many budgets.
        most_runs: more say nothing new.
        clock: in seconds.
    """
    times: list[float] = []
    began = clock()
    while True:
        start = clock()
        call()
        end = clock()
        times.append((end - start) * 1000)
        allowed_s = budget_s if len(times) >= least_runs else budget_s * patience
        if end - began >= allowed_s or len(times) >= most_runs:
            return times
