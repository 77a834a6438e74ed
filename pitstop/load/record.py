"""What was seen of every request of a run, warm-up included. All times are in seconds from the run's start."""

from array import array
from dataclasses import dataclass, field

from .outcome import TIMEOUT, Failure


@dataclass(slots=True)
class Record:
    """Filled while load runs.

    Attributes:
        due_s, latency_s: one entry each for every answer, and for every timeout, which took at least that long.
        late_s: for every request, how long after it was due the client came to send it.
        lag_s: how late a timer of 10 ms fired: how long the client's event loop was busy with other things.
        failures: when each failed request was due, and with what kind.
        cpu_share: what the client took of one core.
    """

    due_s: "array[float]" = field(default_factory=lambda: array("d"))
    latency_s: "array[float]" = field(default_factory=lambda: array("d"))
    late_s: "array[float]" = field(default_factory=lambda: array("d"))
    lag_s: "array[float]" = field(default_factory=lambda: array("d"))
    failures: list[tuple[float, str]] = field(default_factory=list)
    retried: int = 0
    queued: int = 0
    unanswered: int = 0
    oldest_unanswered_s: float = 0.0
    took_s: float = 0.0
    cpu_share: float = 0.0
    stopped: bool = False

    def add(self, due_s: float, latency_s: float, failure: Failure | None) -> None:
        """Note how a request ended."""
        if failure is None or failure.kind == TIMEOUT:
            self.due_s.append(due_s)
            self.latency_s.append(latency_s)
        if failure is not None:
            self.failures.append((due_s, failure.kind))
