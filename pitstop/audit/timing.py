"""Times one forward repeatedly for a while, and says how reliable the result is.

Percentiles, never a lone mean: on a shared machine one slow run would decide it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..measure.percentiles import percentile
from ..measure.timing import times_ms

LEAST_RUNS = 20
# A slow forward may take this many times its budget to reach LEAST_RUNS.
_PATIENCE = 5
# TorchScript's executor profiles the first run of a shape and optimises in the second.
WARM_RUNS = 2
_WARM_SHARE = 0.2
# Below this share of a core, others had it; forwards shorter than a time slice hardly notice at the median.
_LEAST_SHARE = 0.7
_SLICE_MS = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """Latencies of one forward, in ms. With fewer than 100 runs, p99 is the slowest of them.

    `share` is how much of a core the calling thread had while it ran.
    """

    runs: int
    p25_ms: float
    p50_ms: float
    p75_ms: float
    p99_ms: float
    share: float = 1.0

    @property
    def disturbed(self) -> bool:
        """Whether other processes disturbed the timing too much to judge the model."""
        return self.share < _LEAST_SHARE and self.p50_ms >= _SLICE_MS


def measure(
    call: Callable[[], object],
    budget_s: float,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.thread_time,
) -> Timing:
    """Warm `call` up and time it for `budget_s`; longer where that is needed for 20 runs, but not for ever."""
    times_ms(call, budget_s * _WARM_SHARE, WARM_RUNS, clock=clock)
    began, cpu_began = clock(), cpu_clock()
    times = times_ms(call, budget_s, LEAST_RUNS, _PATIENCE, clock=clock)
    share = min(1.0, (cpu_clock() - cpu_began) / (clock() - began))
    return replace(summarise(times), share=share)


def summarise(times_ms: Sequence[float]) -> Timing:
    return Timing(len(times_ms), *(percentile(times_ms, level) for level in (0.25, 0.50, 0.75, 0.99)))


def clearly_faster(slow: Timing, fast: Timing, factor: float, slow_rows: int = 1, fast_rows: int = 1) -> bool:
    """Whether `fast` is at least `factor` times faster per row, beyond the noise.

    Noise is where the middle halves overlap, and where other processes had the core.
    """
    apart = slow.p25_ms / slow_rows > fast.p75_ms / fast_rows
    gain = slow.p50_ms / fast.p50_ms * fast_rows / slow_rows
    return gain >= factor and apart and not slow.disturbed and not fast.disturbed
