"""What the server would do with given arrivals: a pure, event-driven simulation. No Ray, torch or clock.

What a forward takes is decided by the server's own queue and policy (deployments/batching). What is around them is
followed: the event loop, the groups of `@serve.batch` where a wait is configured, and HAProxy, which gives each request
to the replica with the fewest under way. The same arrivals, times and seed always give the same outcome.
"""

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from deployments.batching.fifo import Fifo
from deployments.batching.queue import Item, Waiting
from models.runtime.padding import round_up

from ..measure.percentiles import percentile
from .replica import SimulatedReplica, new_request

_LEAST_BUSY = attrgetter("ongoing", "asked")


@dataclass(frozen=True, slots=True)
class ReplicaSetting:
    """What a plan chooses."""

    max_batch_size: int
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
        whole: whether the rows of a request belong together, and take a forward of their own.
    """

    forward_ms: Mapping[int, Sequence[float]]
    loop_ms: float = 0
    overhead_ms: float = 0
    turn_ms: float = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the requests. `ongoing` is the mean number under way in one replica."""

    latencies_ms: tuple[float, ...]
    utilisation: float
    rows_per_forward: float
    ongoing: float

    def percentile_ms(self, share: float) -> float:
        return percentile(self.latencies_ms, share)


def simulate(
    arrivals_ms: Sequence[float], setting: ReplicaSetting, costs: Costs, rows: int | Sequence[int] = 1, seed: int = 0
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
    return _Run(arrivals_ms, [new_request(n, costs.whole) for n in each], setting, costs, seed).outcome()


@lru_cache(maxsize=8)
def _fifo(medians: tuple[tuple[int, float], ...]) -> Fifo:
    return Fifo({(size, ()): ms for size, ms in medians})


def _policy(costs: Costs) -> Fifo:
    """Return the policy of a server whose warm-up found the median of each size."""
    return _fifo(tuple((size, percentile(ms, 0.5)) for size, ms in sorted(costs.forward_ms.items())))


class _Run:
    """One simulation on its way: the arrivals to come, the other events in a heap, and the replicas.

    An event is (at_ms, order, what to do, replica, number): `order` settles ties, so nothing after it is compared.
    Plain tuples and a heap without the arrivals take a third of the time that a plan else spends here.
    """

    def __init__(
        self, arrivals_ms: Sequence[float], requests: list[Item], setting: ReplicaSetting, costs: Costs, seed: int
    ) -> None:
        self._arrivals_ms = arrivals_ms
        self._requests = requests
        self._answered_ms: dict[Item, float] = {}
        self._setting = setting
        self._costs = costs
        self._sizes = tuple(sorted(costs.forward_ms))
        self._draw = random.Random(seed).random
        policy = _policy(costs)
        self._replicas = [SimulatedReplica(Waiting(policy)) for _ in range(setting.replicas)]
        self._events: list[
            tuple[float, int, Callable[[SimulatedReplica, float, int], None], SimulatedReplica, int]
        ] = []
        self._order = 0
        self._busy_ms = 0.0
        self._forwards = 0

    def outcome(self) -> Outcome:
        events, end_ms = self._events, 0.0
        for number, arrived_ms in enumerate(self._arrivals_ms):
            # At the same moment a request arrives first.
            while events and events[0][0] < arrived_ms:
                end_ms = self._next()
            self._arrive(arrived_ms, number)
        while events:
            end_ms = self._next()
        pairs = zip(self._requests, self._arrivals_ms, strict=True)
        latencies = tuple(self._answered_ms[each] - at + self._costs.overhead_ms for each, at in pairs)
        whole = max(end_ms - self._arrivals_ms[0], 1e-9) * len(self._replicas)
        rows = sum(each.rows for each in self._requests)
        return Outcome(latencies, self._busy_ms / whole, rows / self._forwards, sum(latencies) / whole)

    def _next(self) -> float:
        at_ms, _, react, replica, number = heapq.heappop(self._events)
        react(replica, at_ms, number)
        return at_ms

    def _arrive(self, now_ms: float, number: int) -> None:
        # Among equals HAProxy goes round, which is whoever was asked the longest time ago.
        replica = min(self._replicas, key=_LEAST_BUSY)
        replica.ongoing += 1
        replica.asked = number + 1
        replica.loop_free_ms = max(now_ms, replica.loop_free_ms) + self._costs.loop_ms
        self._later(replica.loop_free_ms, self._parsed, replica, number)

    def _parsed(self, replica: SimulatedReplica, now_ms: float, number: int) -> None:
        request, limit = self._requests[number], self._setting.max_batch_size
        if self._setting.wait_ms and request.rows < limit and not request.whole:
            if not replica.held:
                self._later(now_ms + self._setting.wait_ms, self._expired, replica, replica.groups)
            replica.held.append(request)
            # Serve counts requests here, not rows.
            if len(replica.held) >= limit:
                replica.close_group()
        else:
            replica.waiting.append(request)
        self._start(replica, now_ms)

    def _expired(self, replica: SimulatedReplica, now_ms: float, group: int) -> None:
        if replica.groups == group:
            replica.close_group()
            self._start(replica, now_ms)

    def _start(self, replica: SimulatedReplica, now_ms: float) -> None:
        if replica.running or not replica.waiting:
            return
        replica.running = replica.waiting.take(self._setting.max_batch_size, 0.0)
        rows = sum(part.stop - part.start for part in replica.running)
        times = self._costs.forward_ms[min(round_up(rows, self._sizes), self._sizes[-1])]
        took = self._costs.turn_ms + times[int(self._draw() * len(times))]
        self._busy_ms += took
        self._forwards += 1
        self._later(now_ms + took, self._done, replica, 0)

    def _done(self, replica: SimulatedReplica, now_ms: float, _: int) -> None:
        for part in replica.running:
            if part.stop == part.item.rows:
                self._answered_ms[part.item] = now_ms
                replica.ongoing -= 1
        replica.running = []
        self._start(replica, now_ms)

    def _later(
        self, at_ms: float, react: "Callable[[SimulatedReplica, float, int], None]", replica: SimulatedReplica, n: int
    ) -> None:
        self._order += 1
        heapq.heappush(self._events, (at_ms, self._order, react, replica, n))
