"""What load to put on a server, and for how long."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Open loop at `rate_rps` where that is given, else closed loop.

    Attributes:
        rate_rps: arrivals a second, as a Poisson process.
        connections: in closed loop, how many send one request after another.
        most: connections at once, at most, in open loop.
        seconds: length of the measured window.
        warmup_s: load ahead of it that is not counted.
        timeout_s: longest wait for an answer.
        retries: how often a request is sent again after a failed connection or a 503 with Retry-After.
        seed: of the arrivals; the same seed gives the same arrivals.
        most_sent: in closed loop, how many requests are sent at most.
        least_answers: in closed loop, how many answers must have come, even where that takes longer than `seconds`.
    """

    rate_rps: float | None = None
    connections: int = 8
    most: int = 512
    seconds: float = 10.0
    warmup_s: float = 1.0
    timeout_s: float = 30.0
    retries: int = 0
    seed: int = 0
    most_sent: int | None = None
    least_answers: int = 0

    @property
    def end_s(self) -> float:
        """When the last request is due."""
        return self.warmup_s + self.seconds
