"""What the project's own batcher would do with given arrivals: a pure, event-driven simulation. No Ray, torch or clock.

It follows deployments/queue.py, worker.py and batching.py: the device takes every waiting row, up to the limit, each
time it is free, padded to a warmed size; with a wait, requests come to it in groups. HAProxy gives each request to the
replica with the fewest under way. The same arrivals, times and seed always give the same outcome.
"""

import heapq
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.padding import round_up

from .replica import Replica, Request


@dataclass(frozen=True, slots=True)
class Setting:
    """What a plan chooses."""

    max_rows: int
    wait_ms: float = 0
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Costs:
    """What a replica needs.

    Attributes:
        forward_ms: measured times by padded batch size, each drawn from with equal chance.
        turn_ms: what lies between two forwards, or between a request's coming and its forward: a thread wakes up.
        loop_ms: what the event loop spends on one request; it serves one at a time.
        overhead_ms: what else a request takes on its way there and back, the same for all.
    """

    forward_ms: Mapping[int, Sequence[float]]
    loop_ms: float = 0
    overhead_ms: float = 0
    turn_ms: float = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the requests. `ongoing` is the mean number under way in one replica."""

    latencies_ms: tuple[float, ...]
    utilisation: float
    rows_per_forward: float
    ongoing: float

    def percentile_ms(self, share: float) -> float:
        return percentile(sorted(self.latencies_ms), share)


class Event(NamedTuple):
    at_ms: float
    order: int
    kind: str
    replica: int
    number: int


def poisson(rate_rps: float, count: int, seed: int = 0) -> list[float]:
    """Return the times, in ms, of `count` arrivals that know nothing of each other."""
    draw, now, found = random.Random(seed), 0.0, []
    for _ in range(count):
        now += draw.expovariate(rate_rps) * 1000
        found.append(now)
    return found


def simulate(
    arrivals_ms: Sequence[float], setting: Setting, costs: Costs, rows: int | Sequence[int] = 1, seed: int = 0
) -> Outcome:
    """Return what the arrivals would meet with.

    Args:
        arrivals_ms: rising times.
        setting: rows, wait and replicas.
        costs: what a replica needs.
        rows: rows of every request, or of each.
        seed: draws forward times.
    """
    each = [rows] * len(arrivals_ms) if isinstance(rows, int) else rows
    requests = [Request(at, n, n) for at, n in zip(arrivals_ms, each, strict=True)]
    return _Run(requests, setting, costs, seed).outcome()


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that `share` of an ordered sequence does not exceed, between its neighbours where it falls."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


class _Run:
    """One simulation on its way: the events to come, and the replicas."""

    def __init__(self, requests: list[Request], setting: Setting, costs: Costs, seed: int) -> None:
        self._requests = requests
        self._setting = setting
        self._costs = costs
        self._sizes = tuple(sorted(costs.forward_ms))
        self._draw = random.Random(seed)
        self._replicas = [Replica() for _ in range(setting.replicas)]
        self._events = [Event(each.arrived_ms, i, "arrive", 0, i) for i, each in enumerate(requests)]
        self._order = len(requests)
        self._busy_ms = 0.0
        self._forwards = 0

    def outcome(self) -> Outcome:
        react = {"arrive": self._arrive, "parsed": self._parsed, "expired": self._expired, "done": self._done}
        end_ms = 0.0
        while self._events:
            event = heapq.heappop(self._events)
            react[event.kind](event)
            end_ms = event.at_ms
        latencies = tuple(each.latency_ms for each in self._requests)
        whole = max(end_ms - self._requests[0].arrived_ms, 1e-9) * len(self._replicas)
        rows = sum(each.rows for each in self._requests)
        return Outcome(latencies, self._busy_ms / whole, rows / self._forwards, sum(latencies) / whole)

    def _arrive(self, event: Event) -> None:
        # Among equals HAProxy goes round, which is whoever was asked the longest time ago.
        index = min(range(len(self._replicas)), key=lambda i: (self._replicas[i].ongoing, self._replicas[i].asked))
        replica = self._replicas[index]
        replica.ongoing += 1
        replica.asked = event.number + 1
        replica.loop_free_ms = max(event.at_ms, replica.loop_free_ms) + self._costs.loop_ms
        self._later(replica.loop_free_ms, "parsed", index, event.number)

    def _parsed(self, event: Event) -> None:
        replica, request = self._replicas[event.replica], self._requests[event.number]
        limit = self._setting.max_rows
        if self._setting.wait_ms and request.rows < limit:
            if not replica.held:
                self._later(event.at_ms + self._setting.wait_ms, "expired", event.replica, replica.groups)
            replica.held.append(request)
            # Serve counts requests here, not rows.
            if len(replica.held) >= limit:
                replica.close_group()
        else:
            replica.waiting.append(request)
        self._start(event.replica, event.at_ms)

    def _expired(self, event: Event) -> None:
        replica = self._replicas[event.replica]
        if replica.groups == event.number:
            replica.close_group()
            self._start(event.replica, event.at_ms)

    def _start(self, index: int, now_ms: float) -> None:
        replica = self._replicas[index]
        if replica.running or not replica.waiting:
            return
        replica.running, rows = replica.take(self._setting.max_rows)
        times = self._costs.forward_ms[min(round_up(rows, self._sizes), self._sizes[-1])]
        took = self._costs.turn_ms + times[int(self._draw.random() * len(times))]
        self._busy_ms += took
        self._forwards += 1
        self._later(now_ms + took, "done", index, 0)

    def _done(self, event: Event) -> None:
        replica = self._replicas[event.replica]
        for request in replica.running:
            if request.missing == 0:
                request.latency_ms = event.at_ms - request.arrived_ms + self._costs.overhead_ms
                replica.ongoing -= 1
        replica.running = []
        self._start(event.replica, event.at_ms)

    def _later(self, at_ms: float, kind: str, replica: int, number: int) -> None:
        self._order += 1
        heapq.heappush(self._events, Event(at_ms, self._order, kind, replica, number))
