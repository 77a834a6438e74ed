"""All counts of one model in one replica: totals, Prometheus, efficiency, and the autoscaling report."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from models.signature import Shape

from ..batching.batch_result import BatchResult
from .autoscaling_stats import Recorder
from .efficiency import Efficiency
from .history import History
from .prometheus import Metrics
from .readings import Readings
from .statistics import Stats

_EVERY_S = 1.0


class ModelMetrics:
    """Counts failures by kind, the seconds of each stage, and every forward."""

    def __init__(self, raw_ms: Mapping[Shape, float], started_s: float = 0.0) -> None:
        """Count for a model whose bare forwards took `raw_ms`, and whose start took `started_s`."""
        self._stats = Stats()
        self._metrics = Metrics(self._stats, len(raw_ms))
        self._efficiency = Efficiency(self._stats, raw_ms)
        self._history = History(self._stats, raw_ms)
        self._recorder = Recorder(self._stats, raw_ms, started_s)

    def count_forward(self, ran: BatchResult) -> None:
        self._stats.ran(ran)
        self._stats.last_ms = int(time.time() * 1000)
        self._metrics.ran(ran)

    def count_failure(self, kind: str) -> None:
        self._stats.errors[kind] += 1

    def count_time(self, stage: str, seconds: float) -> None:
        """Add to one of statistics.STAGES."""
        self._stats.stage_s[stage] += seconds

    def failures(self, kind: str) -> int:
        return self._stats.errors.get(kind, 0)

    def as_json(self, name: str, version: str) -> dict[str, Any]:
        """Return one entry of `model_stats`."""
        return {**self._stats.as_json(name, version), "pitstop": self._efficiency.as_json()}

    def rows_a_forward(self) -> int:
        """Return the mean so far, rounded up; 0 before the first."""
        return -(-self._stats.rows // max(1, self._stats.forwards))

    def autoscaling(self, waiting_rows: int, offered_rows: int, limit: int) -> dict[str, float]:
        """Return what the policy reads, of the time since the last call; call it on the event loop."""
        return self._recorder.look(waiting_rows, offered_rows, limit)

    def samples(self, waiting_rows: int) -> list[dict[str, Any]]:
        """Return what was done in the last 15 minutes; `waiting_rows` are those that wait now."""
        return self._history.samples(waiting_rows)

    def watch(self, read: Callable[[], Readings], info: Mapping[str, str]) -> asyncio.Task[None]:
        """Begin to read the counts once a second, and send them to Prometheus.

        `info` has a value for each of prometheus.INFO.
        """
        return asyncio.get_running_loop().create_task(self._watch(read, info))

    async def _watch(self, read: Callable[[], Readings], info: Mapping[str, str]) -> None:
        while True:
            readings = read()
            self._history.look(readings.queue_rows)
            self._metrics.push(readings, self._efficiency.as_json(), info)
            await asyncio.sleep(_EVERY_S)
            self._efficiency.look()
