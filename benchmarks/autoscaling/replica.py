"""A simulated replica: each time its device is free, the server's own queue and policy say what runs next."""

import math
from collections.abc import Mapping

from deployments.batching.fifo import Fifo
from deployments.batching.queue import Answer, Item, Part, Waiting
from deployments.metrics.autoscaling_stats import Recorder
from deployments.metrics.statistics import Stats
from models.runtime.padding import round_up
from models.signature import Shape


class SimulatedReplica:
    """Requests of one row each. Times in seconds; `ready_s` is when it may take its first request."""

    def __init__(self, forward_ms: Mapping[int, float], ordered_s: float, ready_s: float) -> None:
        self.ready_s = ready_s
        self.leaves_s: float | None = None
        self.ongoing = 0
        self.done_s = float("inf")
        self.offered = 0
        by_shape: dict[Shape, float] = {(rows, ()): ms for rows, ms in forward_ms.items()}
        self._waiting = Waiting(Fifo(by_shape))
        self._running: list[Part] = []
        self._sizes = tuple(sorted(forward_ms))
        self._forward_s = {rows: ms / 1000 for rows, ms in forward_ms.items()}
        self._stats = Stats()
        self._recorder = Recorder(self._stats, by_shape, ready_s - ordered_s)
        self.look(ready_s)

    @property
    def waiting(self) -> int:
        return self._waiting.rows

    def add(self, now_s: float) -> None:
        self.offered += 1
        self.ongoing += 1
        self._waiting.append(Item({}, 1, now_s, math.inf, _nobody))
        if not self._running:
            self._start(now_s)

    def advance(self, now_s: float, latencies_s: list[float]) -> None:
        """Finish every forward that ends by now."""
        while self.done_s <= now_s:
            ended_s = self.done_s
            latencies_s += [ended_s - part.item.arrived_s for part in self._running]
            self.ongoing -= len(self._running)
            self._running, self.done_s = [], float("inf")
            if self._waiting:
                self._start(ended_s)

    def look(self, now_s: float) -> dict[str, float]:
        """Return what the real replica would tell the policy. The event loop costs nothing here."""
        return self._recorder.look(self.waiting, self.offered, self._sizes[-1], clock=lambda: now_s, cpu=lambda: 0.0)

    def _start(self, now_s: float) -> None:
        self._running = self._waiting.take(self._sizes[-1], now_s)
        count = len(self._running)
        size = round_up(count, self._sizes)
        took_s = self._forward_s[size]
        self.done_s = now_s + took_s
        stats = self._stats
        stats.rows += count
        stats.forwards += 1
        stats.stage_s["forward"] += took_s
        seen = stats.by_shape.setdefault((size, ()), [0, 0.0])
        seen[0] += 1
        seen[1] += took_s


def _nobody(_: Answer | Exception) -> None:
    """The simulation itself notes who is answered."""
