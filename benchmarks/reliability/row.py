"""One row of the table: a fault under a load, what became of the requests, and how long until all was well again."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .load import Load


@dataclass(frozen=True, slots=True)
class Row:
    """What was counted.

    Attributes:
        recovered_s: from the fault until every request was answered within a second and all replicas ran; None where
            that was not seen.
        replicas_back_s: until as many ran as before.
        under_way: requests sent and unanswered when the fault came.
        aborted: why there are no figures.
    """

    name: str
    server: str
    fault: str
    load: str
    sent: int = 0
    failed: int = 0
    wrong: int = 0
    retried: int = 0
    under_way: int = 0
    recovered_s: float | None = None
    replicas_back_s: float | None = None
    note: str = ""
    errors: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    aborted: str = ""

    @property
    def command(self) -> str:
        """What repeats this row."""
        peer = "" if self.server == "pitstop" else " --server ray-serve"
        return f"python -m benchmarks.reliability {self.name}{peer}"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "command": self.command}


def counted(load: Load) -> dict[str, Any]:
    """Return the part of a row that the load knows."""
    return {
        "sent": load.sent,
        "failed": load.failed + load.record.unanswered,
        "wrong": load.wrong,
        "retried": load.record.retried,
        "under_way": load.under_way,
        "errors": dict(Counter(load.errors).most_common()),
        "examples": tuple(load.questions.wrong[:3]),
    }
