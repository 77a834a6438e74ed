"""One simulated run: requests come, HAProxy gives each to the replica with the fewest, and Serve scales the fleet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ray.serve.config import AutoscalingConfig

from deployments.autoscaling.policy import TARGET
from pitstop.measure.percentiles import percentile

from .controller import Clock, Controller, Reporter, time_of
from .replica import SimulatedReplica

# Serve's controller looks ten times a second; with delays of seconds once is enough.
_TICK_S = 1.0
# RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S
_DRAINS_S = 30.0
_MAX_QUEUED_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """`attained` is the share of requests answered within the objective; a refused one is not."""

    replica_hours: float
    attained: float
    p99_ms: float
    worst_p99_ms: float
    refused: int
    most_replicas: int
    changes: int


class Fleet:
    """Replicas that Serve scales, under this traffic."""

    def __init__(
        self,
        arrivals_s: Sequence[float],
        lasts_s: float,
        forward_ms: Mapping[int, float],
        config: AutoscalingConfig,
        starts_in_s: float,
        target_queue_ms: float | None = None,
    ) -> None:
        """`target_queue_ms` is what replicas report as their target; only TargetQueue reads it."""
        self._arrivals_s, self._lasts_s = arrivals_s, lasts_s
        self._forward_ms, self._starts_in_s = forward_ms, starts_in_s
        self._targets = {} if target_queue_ms is None else {TARGET: target_queue_ms}
        self._clock, self._controller = Clock(), Controller(config)
        self._starting: list[SimulatedReplica] = []
        self._running: list[tuple[SimulatedReplica, Reporter]] = []
        self._draining: list[SimulatedReplica] = []
        self._latencies_s: list[float] = []
        self._minutes: list[list[float]] = []
        self._replica_s = 0.0
        self._refused = self._most = self._changes = self._named = 0

    def run(self, slo_ms: float) -> Outcome:
        """Return what the traffic meets with; it runs once. `worst_p99_ms` is that of the worst minute."""
        with time_of(self._clock):
            self._go()
        everything = [latency for minute in self._minutes for latency in minute]
        good = sum(latency * 1000 <= slo_ms + 1e-6 for latency in everything)
        worst_s = max((percentile(minute, 0.99) for minute in self._minutes if minute), default=0.0)
        return Outcome(
            self._replica_s / 3600,
            good / (len(everything) + self._refused),
            1000 * percentile(everything, 0.99),
            1000 * worst_s,
            self._refused,
            self._most,
            self._changes,
        )

    def _go(self) -> None:
        for _ in range(self._controller.target):
            self._starting.append(SimulatedReplica(self._forward_ms, 0.0, 0.0))
        self._come_up()
        at, minute_s = 0, 60.0
        while self._clock.now_s < self._lasts_s:
            until_s = self._clock.now_s + _TICK_S
            at = self._serve(at, until_s)
            self._clock.now_s = until_s
            self._control()
            if until_s >= minute_s:
                minute_s += 60
                self._minutes.append(self._latencies_s)
                self._latencies_s = []
        for replica in [*self._draining, *(replica for replica, _ in self._running)]:
            replica.advance(float("1e12"), self._latencies_s)
        self._minutes.append(self._latencies_s)

    def _serve(self, at: int, until_s: float) -> int:
        replicas = [replica for replica, _ in self._running]
        arrivals_s, latencies_s = self._arrivals_s, self._latencies_s
        next_s = min((each.done_s for each in replicas), default=float("inf"))
        while at < len(arrivals_s) and (now_s := arrivals_s[at]) < until_s:
            if next_s <= now_s:
                for each in replicas:
                    if each.done_s <= now_s:
                        each.advance(now_s, latencies_s)
                next_s = min(each.done_s for each in replicas)
            at += 1
            chosen = replicas[0]
            for each in replicas:
                if each.ongoing < chosen.ongoing:
                    chosen = each
            if chosen.waiting >= _MAX_QUEUED_ROWS:
                chosen.offered += 1
                self._refused += 1
                continue
            chosen.add(now_s)
            next_s = min(next_s, chosen.done_s)
        for each in [*replicas, *self._draining]:
            each.advance(until_s, latencies_s)
        return at

    def _control(self) -> None:
        now_s = self._clock.now_s
        self._come_up()
        for replica, reporter in self._running:
            while reporter.due(now_s):
                reporter.record(replica.ongoing, replica.look(now_s) | self._targets, now_s)
        before = self._controller.target
        wanted = self._controller.decide([reporter.id for _, reporter in self._running])
        self._changes += wanted != before
        self._resize(wanted)
        alive = len(self._starting) + len(self._running) + len(self._draining)
        self._most = max(self._most, len(self._starting) + len(self._running))
        self._replica_s += alive * _TICK_S
        self._draining = [each for each in self._draining if each.ongoing or now_s < (each.leaves_s or 0)]

    def _come_up(self) -> None:
        now_s = self._clock.now_s
        for replica in [each for each in self._starting if each.ready_s <= now_s]:
            self._starting.remove(replica)
            self._named += 1
            replica.look(now_s)
            self._running.append((replica, Reporter(self._controller, str(self._named), now_s)))

    def _resize(self, wanted: int) -> None:
        now_s = self._clock.now_s
        while len(self._starting) + len(self._running) < wanted:
            self._starting.append(SimulatedReplica(self._forward_ms, now_s, now_s + self._starts_in_s))
        # Serve stops first what does not run yet.
        while len(self._starting) + len(self._running) > wanted and self._starting:
            self._starting.pop()
        while len(self._running) > max(wanted, 1):
            replica, reporter = self._running.pop()
            replica.leaves_s = now_s + _DRAINS_S
            self._draining.append(replica)
            self._controller.stopped(reporter.id)
