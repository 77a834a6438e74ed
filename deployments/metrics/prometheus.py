"""The same counts for Prometheus, through ray.serve.metrics.

Counters are pushed once a second from Stats, and each forward observes its histograms: a metric call costs about as
much as parsing a small request, so none is made per request.
"""

from collections.abc import Mapping
from typing import Any

from ray.serve import metrics

from ..batching.batch_result import BatchResult
from .statistics import Stats

_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000]
_MOST_A_SECOND = 100


class Metrics:
    """One replica's metrics. Ray adds the tags application, deployment and replica."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._sent: dict[str, int] = {}
        self._second = self._observed = 0
        self._counters = {
            "requests": metrics.Counter("pitstop_requests", "Requests answered."),
            "rows": metrics.Counter("pitstop_rows", "Rows answered."),
            "padded": metrics.Counter("pitstop_padding_rows", "Rows computed only to reach a warmed batch size."),
            "unwarmed": metrics.Counter("pitstop_unwarmed_shapes", "Forwards of a shape that was not warmed."),
        }
        self._errors = metrics.Counter("pitstop_errors", "Requests refused or failed, by kind.", tag_keys=("kind",))
        self._batch_rows = metrics.Histogram(
            "pitstop_batch_rows", "Rows in a forward.", boundaries=[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
        )
        self._wait_ms = metrics.Histogram("pitstop_queue_wait_ms", "Longest wait in a batch.", boundaries=_MS)
        self._forward_ms = metrics.Histogram("pitstop_forward_ms", "One forward.", boundaries=_MS)
        self._efficiency = metrics.Gauge("pitstop_efficiency", "Served rows a second over the raw forward's.")
        self._idle = metrics.Gauge("pitstop_device_idle_share", "Device idle with work waiting, over its forwards.")

    def ran(self, ran: BatchResult) -> None:
        """Observe a forward; if there are many in a second, only a sample, which has the same percentiles."""
        second = int(ran.ended_s)
        if second != self._second:
            self._second, self._observed = second, 0
        if self._observed == _MOST_A_SECOND:
            return
        self._observed += 1
        self._batch_rows.observe(ran.rows)
        self._wait_ms.observe(ran.waited_s * 1000)
        self._forward_ms.observe(ran.forward_s * 1000)

    def push(self, unwarmed: int, shares: Mapping[str, Any]) -> None:
        """Send the counts since the last push, and what efficiency.Efficiency tells now."""
        if shares["efficiency"] is not None:
            self._efficiency.set(shares["efficiency"])
            self._idle.set(shares["idle_share"])
        stats = self._stats
        totals = {
            "requests": stats.requests,
            "rows": stats.rows,
            "padded": stats.padded_rows - stats.rows,
            "unwarmed": unwarmed,
        }
        for name, total in totals.items():
            if new := self._new(name, total):
                self._counters[name].inc(new)
        for kind, total in list(stats.errors.items()):
            if new := self._new(f"error {kind}", total):
                self._errors.inc(new, tags={"kind": kind})

    def _new(self, name: str, total: int) -> int:
        new = total - self._sent.get(name, 0)
        self._sent[name] = total
        return new
