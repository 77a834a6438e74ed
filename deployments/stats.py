"""Counts what a model did since it started, and writes it as the protocol's statistics."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from .worker import Ran


@dataclass(slots=True)
class Stats:
    """Totals since the start; times in nanoseconds, as the protocol wants them."""

    requests: int = 0
    request_ns: int = 0
    rows: int = 0
    forwards: int = 0
    padded_rows: int = 0
    queue_ns: int = 0
    forward_ns: int = 0
    last_ms: int = 0
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_size: dict[int, list[int]] = field(default_factory=dict)

    def ran(self, ran: Ran) -> None:
        forward_ns = int(ran.forward_s * 1e9)
        self.forwards += 1
        self.rows += ran.rows
        self.padded_rows += ran.padded_rows
        self.queue_ns += int(ran.waited_s * 1e9)
        self.forward_ns += forward_ns
        size = self.by_size.setdefault(ran.padded_rows, [0, 0])
        size[0] += 1
        size[1] += forward_ns

    def as_json(self, name: str, version: str) -> dict[str, Any]:
        """Return one entry of `model_stats`. Copies are part of the forward here, so their entries stay empty."""
        failed = sum(self.errors.values())
        return {
            "name": name,
            "version": version,
            "last_inference": self.last_ms,
            "inference_count": self.rows,
            "execution_count": self.forwards,
            "inference_stats": {
                "success": _duration(self.requests, self.request_ns),
                "fail": _duration(failed, 0),
                "queue": _duration(self.forwards, self.queue_ns),
                "compute_input": _duration(0, 0),
                "compute_infer": _duration(self.forwards, self.forward_ns),
                "compute_output": _duration(0, 0),
            },
            "batch_stats": [
                {"batch_size": size, "compute_infer": _duration(count, total)}
                for size, (count, total) in sorted(self.by_size.items())
            ],
        }


def _duration(count: int, ns: int) -> dict[str, int]:
    return {"count": count, "ns": ns}
