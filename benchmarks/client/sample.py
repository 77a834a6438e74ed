"""What one measurement found: when each answer came, how long it took, and what went wrong."""

from array import array
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Sample:
    """Answers in the order they came. Times count from the start.

    over_s: when a closed loop's time was over; cpu_share: what the client took of a core; gpu_busy: the GPU's
    utilisation meanwhile, where it was asked.
    """

    finished_s: "array[float]" = field(default_factory=lambda: array("d"))
    latency_s: "array[float]" = field(default_factory=lambda: array("d"))
    late_s: "array[float]" = field(default_factory=lambda: array("d"))
    errors: Counter[str] = field(default_factory=Counter)
    over_s: float = 0.0
    cpu_share: float = 0.0
    gpu_busy: float | None = None

    def add(self, finished_s: float, latency_s: float, error: str) -> None:
        """Count an answer; a failed one has no latency, it is told apart as an error."""
        if error:
            self.errors[error] += 1
        else:
            self.finished_s.append(finished_s)
            self.latency_s.append(latency_s)


def steady(sample: Sample, from_s: float, to_s: float) -> tuple[float, list[float]]:
    """Return the answers a second between two moments, and their latencies.

    Answers come in bursts, one for each batch, so the time is counted from the last answer before the window to the
    last one in it: whole bursts over the time they took, however few fit in.
    """
    before = [t for t in sample.finished_s if t <= from_s]
    inside = [pair for pair in zip(sample.finished_s, sample.latency_s, strict=True) if from_s < pair[0] <= to_s]
    if not inside:
        return 0.0, []
    took_s = inside[-1][0] - (before[-1] if before else 0.0)
    return len(inside) / took_s, [latency for _, latency in inside]
