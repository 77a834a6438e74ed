"""The same counts for Prometheus, through ray.serve.metrics.

Counters and gauges are pushed once a second from Stats and Readings, and each forward observes its histograms: a metric
call costs about as much as parsing a small request, so none is made per request. Counters start at 0. A histogram is
there from its first observation on, for Ray has no other way to make it.
"""

from collections.abc import Mapping
from typing import Any

from ray.serve import metrics

from ..batching.batch_result import BatchResult
from ..core.errors import KINDS
from ..ray_compat.counters import start_at_zero
from .readings import NOTHING, Readings
from .statistics import Stats

_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000]
_MOST_A_SECOND = 100
INFO = ("model", "version", "source", "device", "backend", "precision", "shapes")


class Metrics:
    """One replica's metrics. Ray adds the tags application, deployment and replica."""

    def __init__(self, stats: Stats, warmed_shapes: int) -> None:
        self._stats = stats
        self._warmed_shapes = warmed_shapes
        self._sent: dict[str, int] = {}
        self._second = self._observed = 0
        self._counters = {
            "requests": metrics.Counter("pitstop_requests", "Requests whose rows went through the device."),
            "rows": metrics.Counter("pitstop_rows", "Rows that went through the device."),
            "forwards": metrics.Counter("pitstop_forwards", "Forwards of batches; probes are not counted."),
            "padded": metrics.Counter("pitstop_padding_rows", "Rows computed only to reach a warmed batch size."),
            "unwarmed": metrics.Counter("pitstop_unwarmed_shapes", "Forwards of a shape that was not warmed."),
            "probes": metrics.Counter("pitstop_health_probes", "Forwards of the known-good row, to check the device."),
            "out_of_memory": metrics.Counter("pitstop_out_of_memory", "Forwards that did not fit into memory."),
        }
        self._errors = metrics.Counter("pitstop_errors", "Requests refused or failed, by kind.", tag_keys=("kind",))
        self._batch_rows = metrics.Histogram(
            "pitstop_batch_rows", "Rows in a forward.", boundaries=[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
        )
        self._wait_ms = metrics.Histogram("pitstop_queue_wait_ms", "Longest wait in a batch.", boundaries=_MS)
        self._forward_ms = metrics.Histogram("pitstop_forward_ms", "One forward.", boundaries=_MS)
        self._gauges = {
            "efficiency": metrics.Gauge("pitstop_efficiency", "Served rows a second over the raw forward's."),
            "idle": metrics.Gauge("pitstop_device_idle_share", "Device idle with work waiting, over its forwards."),
            "queue_rows": metrics.Gauge("pitstop_queue_rows", "Rows that wait now."),
            "queue_limit_rows": metrics.Gauge("pitstop_queue_limit_rows", "Most rows that may wait: max_queue_size."),
            "queue_target_ms": metrics.Gauge("pitstop_queue_target_ms", "Longest wait wanted: targets.queue_ms."),
            "p99_target_ms": metrics.Gauge("pitstop_p99_target_ms", "Highest p99 wanted: targets.p99_ms."),
            "healthy": metrics.Gauge("pitstop_healthy", "1 if the known-good row passes, else 0."),
            "warmed": metrics.Gauge("pitstop_warmed_shapes", "Shapes that the start warmed and timed."),
        }
        self._info = metrics.Gauge(
            "pitstop_info",
            "1 for each replica; its labels say what runs.",
            tag_keys=INFO,  # type: ignore[arg-type]  # Serve's hint says one label, its code takes any number.
        )
        for counter in self._counters.values():
            start_at_zero(counter)
        for kind in KINDS:
            start_at_zero(self._errors, kind=kind)

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

    def push(self, readings: Readings, shares: Mapping[str, Any], info: Mapping[str, str]) -> None:
        """Send the counts since the last push, and the values now.

        `shares` is what efficiency.Efficiency tells; `info` has a value for each of INFO.
        """
        self._set_gauges(readings, shares)
        self._info.set(1, tags=dict(info))
        stats = self._stats
        totals = {
            "requests": stats.requests,
            "rows": stats.rows,
            "forwards": stats.forwards,
            "padded": stats.padded_rows - stats.rows,
            "unwarmed": readings.unwarmed,
            "probes": readings.probes,
            "out_of_memory": readings.out_of_memory,
        }
        for name, total in totals.items():
            if new := self._new(name, total):
                self._counters[name].inc(new)
        for kind, total in list(stats.errors.items()):
            if new := self._new(f"error {kind}", total):
                self._errors.inc(new, tags={"kind": kind})

    def _set_gauges(self, readings: Readings, shares: Mapping[str, Any]) -> None:
        measured = shares["efficiency"] is not None
        values = {
            "efficiency": shares["efficiency"] if measured else NOTHING,
            "idle": shares["idle_share"] if measured else NOTHING,
            "queue_rows": readings.queue_rows,
            "queue_limit_rows": readings.queue_limit_rows,
            "queue_target_ms": readings.queue_target_ms,
            "p99_target_ms": readings.p99_target_ms,
            "healthy": readings.healthy,
            "warmed": self._warmed_shapes or NOTHING,
        }
        for name, value in values.items():
            self._gauges[name].set(value)

    def _new(self, name: str, total: int) -> int:
        new = total - self._sent.get(name, 0)
        self._sent[name] = total
        return new
