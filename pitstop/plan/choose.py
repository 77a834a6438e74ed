"""Which settings meet the target, and which of them costs least. Pure: it only asks the simulation.

A plan aims a fifth below the target, for what it cannot foresee. Replicas are found by bisection; the batch sizes and
waits are few enough to try them all.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from statistics import fmean

from models.runtime.padding import round_up

from ..measure.arrivals import poisson
from ..measure.percentiles import percentile
from .profile import Profile
from .simulate import Costs, Outcome, ReplicaSetting, simulate

# Predictions are held to within 20 % of what is measured (tests/pitstop/test_simulate.py).
MARGIN = 1.2
MOST_REPLICAS = 256
# A device busier than this has a queue that only luck keeps short.
BUSIEST = 0.95
_SEARCH_ARRIVALS, _FINAL_ARRIVALS = 4_000, 20_000
_WAIT_SHARES = (0.0, 0.1, 0.3)


@dataclass(frozen=True, slots=True)
class LatencyTarget:
    """What is asked for. `rows` are those of one request."""

    rate_rps: float
    slo_ms: float
    rows: int = 1

    @property
    def aim_ms(self) -> float:
        return self.slo_ms / MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting on one device and what is predicted of it. `usd_per_hour` is for all replicas; None: no price."""

    profile: Profile
    setting: ReplicaSetting
    p50_ms: float
    p99_ms: float
    utilisation: float
    rows_per_forward: float
    ongoing: float
    usd_per_hour: float | None
    meets: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """What to scale automatically by. `most_rps` is what the replicas of the plan bear at most."""

    least: int
    most: int
    target_ongoing: float
    most_rps: float


def options(profile: Profile, target: LatencyTarget, usd_per_hour: float | None, most_rows: int) -> list[Option]:
    """Return, for every batch size and wait, the fewest replicas that meet the target, or why none would."""
    sizes = [size for size in profile.forward_ms if size <= most_rows]
    waits = [round(share * target.slo_ms, 1) for share in _WAIT_SHARES]
    if profile.whole:
        # A smaller limit would only refuse requests, and no request waits for another.
        sizes, waits = sizes[-1:], waits[:1]
    found = []
    for size in sizes:
        for wait in waits if size > 1 else waits[:1]:
            setting = fewest(profile.costs, target, ReplicaSetting(size, wait))
            if setting is not None:
                found.append(predict(profile, target, setting, usd_per_hour))
    return found


def pick(found: Sequence[Option]) -> Option | None:
    """Return the cheapest option that meets the target; of equals, the one with room for bursts."""
    able = [each for each in found if each.meets]
    if not able:
        return None
    cost = {id(each): _cost(each, able) for each in able}
    least = min(cost.values())
    equal = [each for each in able if cost[id(each)] <= least]

    def order(option: Option) -> tuple[float, float, float]:
        # A larger limit costs nothing until a burst needs it; a wait is only taken where it saves a replica.
        return option.setting.wait_ms, -capacity_rps(option.profile.costs, 1, option.setting), option.p99_ms

    return min(equal, key=order)


def neighbours(option: Option, target: LatencyTarget, replica_usd: float | None) -> Iterator[Option]:
    """Yield the same setting with one replica fewer and one more, for comparison."""
    for replicas in (option.setting.replicas - 1, option.setting.replicas + 1):
        if replicas >= 1:
            yield predict(option.profile, target, replace(option.setting, replicas=replicas), replica_usd)


def predict(profile: Profile, target: LatencyTarget, setting: ReplicaSetting, usd_per_hour: float | None) -> Option:
    """Simulate one setting at length. `usd_per_hour` is the price of one replica."""
    outcome = run(profile.costs, target, setting, _FINAL_ARRIVALS)
    p99_ms = outcome.percentile_ms(0.99)
    total = None if usd_per_hour is None else usd_per_hour * setting.replicas
    return Option(
        profile=profile,
        setting=setting,
        p50_ms=outcome.percentile_ms(0.5),
        p99_ms=p99_ms,
        utilisation=outcome.utilisation,
        rows_per_forward=outcome.rows_per_forward,
        ongoing=outcome.ongoing,
        usd_per_hour=total,
        meets=p99_ms <= target.aim_ms and load(profile.costs, target, setting) <= BUSIEST,
    )


def fewest(costs: Costs, target: LatencyTarget, setting: ReplicaSetting) -> ReplicaSetting | None:
    """Return the setting with the fewest replicas that meet the target; None where no number does."""
    if floor_ms(costs, target, setting) > target.aim_ms:
        return None
    low, high = 0, max(1, math.ceil(load(costs, target, replace(setting, replicas=1))))
    while high <= MOST_REPLICAS and not meets(costs, target, replace(setting, replicas=high)):
        low, high = high, high * 2
    if high > MOST_REPLICAS:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if meets(costs, target, replace(setting, replicas=middle)) else (middle, high)
    return replace(setting, replicas=high)


def bounds(option: Option, target: LatencyTarget, low_rps: float, peak_rps: float) -> Bounds:
    """Return the replicas needed at the lowest and the highest rate, and how many requests one may have under way."""
    costs, one = option.profile.costs, replace(option.setting, replicas=1)
    low = fewest(costs, replace(target, rate_rps=low_rps), one)
    peak = fewest(costs, replace(target, rate_rps=peak_rps), one)
    here = option.setting.replicas
    # Together replicas bear more than each alone, so what one may have under way is taken from all of them at work.
    rate = sustained(costs, target, option.setting)
    ongoing = run(costs, replace(target, rate_rps=rate), option.setting, _SEARCH_ARRIVALS).ongoing
    least, most = low.replicas if low else 1, peak.replicas if peak else MOST_REPLICAS
    return Bounds(min(least, here), max(most, here), max(1.0, round(ongoing, 1)), rate)


def sustained(costs: Costs, target: LatencyTarget, setting: ReplicaSetting) -> float:
    """Return the highest rate that these replicas sustain within the target."""
    low, high = 0.0, capacity_rps(costs, target.rows, setting)
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (middle, high) if meets(costs, replace(target, rate_rps=middle), setting) else (low, middle)
    return low or high


def meets(costs: Costs, target: LatencyTarget, setting: ReplicaSetting) -> bool:
    if load(costs, target, setting) > BUSIEST:
        return False
    return run(costs, target, setting, _SEARCH_ARRIVALS).percentile_ms(0.99) <= target.aim_ms


def run(costs: Costs, target: LatencyTarget, setting: ReplicaSetting, count: int, seed: int = 1) -> Outcome:
    return simulate(_arrivals(target.rate_rps, count, seed), setting, costs, target.rows, seed)


@lru_cache(maxsize=8)
def _arrivals(rate_rps: float, count: int, seed: int) -> tuple[float, ...]:
    """Every setting meets the same arrivals, so they are drawn once."""
    return tuple(1000 * at_s for at_s in islice(poisson(rate_rps, seed=seed), count))


def load(costs: Costs, target: LatencyTarget, setting: ReplicaSetting) -> float:
    """Return the share of what these replicas can do at most that the target asks for."""
    return target.rate_rps / capacity_rps(costs, target.rows, setting)


def capacity_rps(costs: Costs, rows: int, setting: ReplicaSetting) -> float:
    """Return the requests a second at which every forward is full, or the event loop has no pause."""
    turn = costs.turn_ms
    if costs.whole:
        sizes = tuple(sorted(costs.forward_ms))
        best = 1000 * rows / (turn + fmean(costs.forward_ms[min(round_up(rows, sizes), sizes[-1])]))
    else:
        best = max(
            1000 * size / (turn + fmean(ms)) for size, ms in costs.forward_ms.items() if size <= setting.max_batch_size
        )
    return setting.replicas * min(best / rows, 1000 / costs.loop_ms if costs.loop_ms else float("inf"))


def floor_ms(costs: Costs, target: LatencyTarget, setting: ReplicaSetting) -> float:
    """Return the p99 of a request that meets no other."""
    sizes = tuple(sorted(costs.forward_ms))
    size = min(round_up(min(target.rows, setting.max_batch_size), sizes), sizes[-1])
    alone = percentile(costs.forward_ms[size], 0.99)
    forwards = -(-target.rows // setting.max_batch_size)
    return forwards * (costs.turn_ms + alone) + setting.wait_ms + costs.loop_ms + costs.overhead_ms


def _cost(option: Option, able: Sequence[Option]) -> float:
    priced = all(each.usd_per_hour is not None for each in able)
    return option.usd_per_hour if priced and option.usd_per_hour is not None else option.setting.replicas
