"""What a run says of the server: the figures that are shown, written as JSON, and that `compare` decides by."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..measure.intervals import Percentile, percentiles
from ..measure.percentiles import percentile
from . import limit
from .histogram import Bin, histogram
from .outcome import TIMEOUT
from .plan import Plan
from .record import Record


@dataclass(frozen=True, slots=True)
class Summary:
    """Latencies are in milliseconds, from the time a request was due; a timeout counts as long as it was waited for."""

    plan: Plan
    seconds: float
    answered: int
    answered_rps: float
    offered_rps: float
    percentiles: tuple[Percentile, ...]
    mean_ms: float
    max_ms: float
    histogram: tuple[Bin, ...]
    errors: Mapping[str, int]
    retried: int
    unanswered: int
    oldest_unanswered_s: float
    stopped: bool
    cpu_share: float
    late_p99_ms: float
    client_limit: tuple[str, ...]

    def level(self, level: float) -> Percentile | None:
        return next((each for each in self.percentiles if each.level == level), None)

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def failed_share(self) -> float:
        return self.failed / max(self.failed + self.answered, 1)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"mode": "open" if self.plan.rate_rps else "closed", "failed_share": self.failed_share}


def summarise(plan: Plan, record: Record) -> Summary:
    """Look at the requests due in the measured window, and at all that were answered within it."""
    due, latency = np.asarray(record.due_s), np.asarray(record.latency_s)
    end_s = min(plan.end_s, record.took_s)
    seconds = max(end_s - plan.warmup_s, 1e-9)
    inside = due >= plan.warmup_s
    done = due + latency
    errors = Counter(kind for when, kind in record.failures if when >= plan.warmup_s)
    finished = int(((done >= plan.warmup_s) & (done <= end_s)).sum())
    shown = latency[inside] * 1e3
    late = np.asarray(record.late_s or record.lag_s or (0.0,))
    answered = int(inside.sum()) - errors[TIMEOUT]
    return Summary(
        plan=plan,
        seconds=seconds,
        answered=answered,
        answered_rps=(finished - _given_up(plan, record, end_s)) / seconds,
        offered_rps=(answered + sum(errors.values()) + record.unanswered) / seconds,
        percentiles=tuple(percentiles(due[inside], shown)),
        mean_ms=float(shown.mean()) if len(shown) else 0.0,
        max_ms=float(shown.max()) if len(shown) else 0.0,
        histogram=tuple(histogram(shown)),
        errors=dict(errors.most_common()),
        retried=record.retried,
        unanswered=record.unanswered,
        oldest_unanswered_s=record.oldest_unanswered_s,
        stopped=record.stopped,
        cpu_share=record.cpu_share,
        late_p99_ms=percentile(late, 0.99) * 1e3,
        client_limit=tuple(limit.reasons(record, latency[inside])),
    )


def _given_up(plan: Plan, record: Record, end_s: float) -> int:
    """Count the timeouts that came to their end within the window."""
    ended = [when + plan.timeout_s for when, kind in record.failures if kind == TIMEOUT]
    return sum(plan.warmup_s <= when <= end_s for when in ended)
