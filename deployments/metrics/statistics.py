"""Counts what a model did since it started, and writes it as the protocol's statistics."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from models.signature import Shape

from ..batching.batch_result import BatchResult
from ..core.errors import PAGE_REFUSED
from . import latencies

# The steps of a request's life, in its order. Those of the loop and those of the device may overlap.
STAGES = ("parse", "queue", "collate", "copy", "forward", "fetch", "split", "send")
# Sizes that are never padded may be many: beyond these, forwards are counted by their rows alone.
_MOST_SHAPES = 1024


@dataclass(slots=True)
class Stats:
    """Totals since the start; times in seconds. `queue` sums over rows, the other stages over requests or forwards.

    `idle_s` is how long the device stood still between two forwards though rows waited. `by_shape` has the number of
    forwards and their seconds. `latencies` counts requests by the buckets of latencies.py.
    """

    requests: int = 0
    request_s: float = 0
    rows: int = 0
    forwards: int = 0
    padded_rows: int = 0
    busy_s: float = 0
    idle_s: float = 0
    last_ms: int = 0
    stage_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_shape: dict[Shape, list[float]] = field(default_factory=dict)
    latencies: list[int] = field(default_factory=lambda: [0] * latencies.BUCKETS)

    def ran(self, ran: BatchResult) -> None:
        self.forwards += 1
        self.requests += len(ran.request_s)
        self.request_s += sum(ran.request_s)
        latencies.count(self.latencies, ran.request_s)
        self.rows += ran.rows
        self.padded_rows += ran.shape[0]
        self.busy_s += ran.busy_s
        self.idle_s += ran.idle_s
        stages = self.stage_s
        stages["queue"] += ran.row_wait_s
        stages["collate"] += ran.collate_s
        stages["copy"] += ran.copy_s
        stages["forward"] += ran.forward_s
        stages["fetch"] += ran.fetch_s
        stages["split"] += ran.split_s
        shape = ran.shape
        if shape not in self.by_shape and len(self.by_shape) >= _MOST_SHAPES:
            shape = ran.shape[0], ()
        size = self.by_shape.setdefault(shape, [0, 0.0])
        size[0] += 1
        size[1] += ran.forward_s

    def copy(self) -> "Stats":
        """Return the totals as they are now."""
        by_shape = {shape: list(size) for shape, size in self.by_shape.items()}
        stage_s, errors, counted = dict(self.stage_s), self.errors.copy(), list(self.latencies)
        return replace(self, stage_s=stage_s, errors=errors, by_shape=by_shape, latencies=counted)

    def as_json(self, name: str, version: str) -> dict[str, Any]:
        """Return one entry of `model_stats`."""
        failed, stages = sum(self.errors.values()) - self.errors.get(PAGE_REFUSED, 0), self.stage_s
        return {
            "name": name,
            "version": version,
            "last_inference": self.last_ms,
            "inference_count": self.rows,
            "execution_count": self.forwards,
            "inference_stats": {
                "success": _duration(self.requests, self.request_s),
                "fail": _duration(failed, 0),
                "queue": _duration(self.rows, stages["queue"]),
                "compute_input": _duration(self.forwards, stages["collate"] + stages["copy"]),
                "compute_infer": _duration(self.forwards, stages["forward"]),
                "compute_output": _duration(self.forwards, stages["fetch"] + stages["split"]),
            },
            "batch_stats": [
                {"batch_size": rows, "compute_infer": _duration(count, total)}
                for rows, (count, total) in sorted(self._by_size().items())
            ],
        }

    def _by_size(self) -> dict[int, tuple[int, float]]:
        by_size: dict[int, tuple[int, float]] = {}
        for (rows, _), (count, total) in self.by_shape.items():
            seen = by_size.get(rows, (0, 0.0))
            by_size[rows] = (seen[0] + int(count), seen[1] + total)
        return by_size


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * 1e9)}
