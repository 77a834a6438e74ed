"""Holds predictions against a running model: open-loop Poisson load, and the simulation of the very same arrivals.

What surrounds the forward is measured first, at one request at a time; it depends on the machine, not on the plan.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import requests

from configs.schema import ModelConfig
from models.runtime.padding import round_up

from ..load.plan import Plan
from ..load.run import run as put_load
from ..load.run import try_one
from ..load.summary import Summary, summarise
from ..load.target import Target, find
from ..load.token import token_header
from ..measure.arrivals import poisson
from ..measure.percentiles import percentile
from .choose import LatencyTarget
from .payload import request_of
from .profile import Profile
from .simulate import Outcome, ReplicaSetting, simulate

_CALIBRATION = Plan(connections=1, seconds=2.0, warmup_s=0.5)
_WARMUP_S = 2.0
_LEAST_OVERHEAD_MS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rate; pairs have the prediction first.

    `forward_factor` is how much longer forwards took than the profile has it, and `adjusted_p99_ms` what is predicted
    from that; None where there are several replicas, each with statistics of its own.
    """

    label: str
    rate_rps: float
    p50_ms: tuple[float, float]
    p99_ms: tuple[float, float]
    p99_bounds_ms: tuple[float, float | None]
    forward_factor: float | None
    adjusted_p99_ms: float | None
    failed: int
    client_limit: tuple[str, ...]
    stopped: bool

    @property
    def off(self) -> float:
        """How far the predicted p99 is from what was measured, as a share of it."""
        return self.p99_ms[0] / self.p99_ms[1] - 1


class Sent(NamedTuple):
    """When a request was due, and how late the client was with it; a busy client sends in lumps."""

    due_s: float
    late_s: float


class Verifier:
    """One model that runs, and the requests to send it."""

    def __init__(
        self, url: str, config: ModelConfig, profile: Profile, target: LatencyTarget, setting: ReplicaSetting
    ) -> None:
        self.profile = profile
        self._target = target
        self._setting = setting
        self._running: Target = find(f"{url}/v2/models/{config.name}")
        self._request = request_of(config, target.rows, profile.sizes)
        try_one(self._running, self._request, "binary", timeout_s=60)

    @property
    def device(self) -> str:
        """The device that the server says it uses."""
        return str(self._running.properties.get("device", "?"))

    @property
    def max_batch_size(self) -> int | None:
        """The rows that the server puts into a forward at most; None where it does not say."""
        rows = self._running.properties.get("max_batch_size")
        return rows if isinstance(rows, int) else None

    def calibrate(self) -> float:
        """Measure and return what a request takes beside its forward, in ms; predictions use it from now on."""
        before = self._stats()
        summary, _ = self._load(_CALIBRATION)
        level = summary.level(0.5)
        alone = _mean_forward_ms(before, self._stats()) if self._setting.replicas == 1 else None
        size = round_up(min(self._target.rows, self._setting.max_batch_size), tuple(self.profile.forward_ms))
        # The statistics know only the mean, which a few slow forwards lift above what the median request met.
        forward = min(self.profile.p50_ms(size), alone or float("inf"))
        around = self.profile.loop_ms + self.profile.turn_ms
        overhead = max(_LEAST_OVERHEAD_MS, (level.value if level else forward) - forward - around)
        self.profile = replace(self.profile, overhead_ms=overhead)
        return overhead

    def checks(self, rates: Mapping[str, float], seconds: float, tell: Callable[[str], None]) -> Iterator[Check]:
        """Measure one rate after the other; the last one may have been stopped by Ctrl-C."""
        for seed, (label, rate) in enumerate(rates.items()):
            tell(f"load at {rate:.0f} requests a second ({label})")
            check = self._check(label, Plan(rate_rps=rate, seconds=seconds, warmup_s=_WARMUP_S, seed=seed))
            yield check
            if check.stopped:
                return

    def _check(self, label: str, plan: Plan) -> Check:
        before = self._stats()
        summary, sent = self._load(plan)
        factor = _factor(before, self._stats(), self.profile) if self._setting.replicas == 1 else None
        predicted = self._predict(self.profile, plan, sent)
        adjusted = None if factor is None else self._predict(self.profile.scaled(factor), plan, sent)[1]
        measured, high = summary.level(0.5), summary.level(0.99)
        p50, p99 = (each.value if each else float("nan") for each in (measured, high))
        return Check(
            label=label,
            rate_rps=plan.rate_rps or 0,
            p50_ms=(predicted[0], p50),
            p99_ms=(predicted[1], p99),
            p99_bounds_ms=(high.low, high.high) if high else (float("nan"), None),
            forward_factor=factor,
            adjusted_p99_ms=adjusted,
            failed=summary.failed,
            client_limit=summary.client_limit,
            stopped=summary.stopped,
        )

    def _load(self, plan: Plan) -> tuple[Summary, list[Sent]]:
        record = put_load(self._running, [self._request], "binary", 0, plan, lambda _: None)
        due = poisson(plan.rate_rps, plan.end_s, plan.seed) if plan.rate_rps else ()
        return summarise(plan, record), [Sent(at, late) for at, late in zip(due, record.late_s, strict=False)]

    def _predict(self, profile: Profile, plan: Plan, sent: list[Sent]) -> tuple[float, float]:
        arrivals = [1000 * (each.due_s + each.late_s) for each in sent]
        outcome: Outcome = simulate(arrivals, self._setting, profile.costs, self._target.rows)
        pairs = zip(sent, outcome.latencies_ms, strict=True)
        # As it was measured: from when a request was due.
        counted = [ms + 1000 * each.late_s for each, ms in pairs if each.due_s >= plan.warmup_s]
        return percentile(counted, 0.5), percentile(counted, 0.99)

    def _stats(self) -> Mapping[str, Any]:
        try:
            answer = requests.get(f"{self._running.url}/stats", timeout=10, headers=token_header())
            found = answer.json()["model_stats"][0]
        except (requests.RequestException, ValueError, KeyError, IndexError):
            return {}
        return dict(found)


def _mean_forward_ms(before: Mapping[str, Any], after: Mapping[str, Any]) -> float | None:
    """Return what one forward took, its copies included; None where the statistics do not say."""
    count, spent_ms = _spent(before, after)
    return spent_ms / count if count else None


def _factor(before: Mapping[str, Any], after: Mapping[str, Any], profile: Profile) -> float | None:
    """Return how much longer forwards and the gaps between them took, while requests waited, than was expected."""
    earlier = {each["batch_size"]: each["compute_infer"]["count"] for each in before.get("batch_stats", ())}
    expected = 0.0
    for each in after.get("batch_stats", ()):
        size = each["batch_size"]
        times = profile.forward_ms.get(size)
        if times is None:
            return None
        expected += (each["compute_infer"]["count"] - earlier.get(size, 0)) * (
            profile.turn_ms + sum(times) / len(times)
        )
    spent_ms = _spent(before, after)[1] * (1 + (after.get("pitstop", {}).get("idle_share") or 0))
    return spent_ms / expected if expected > 0 and spent_ms > 0 else None


def _spent(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[int, float]:
    steps = ("compute_input", "compute_infer", "compute_output")
    if not before or not after:
        return 0, 0.0
    old, new = before["inference_stats"], after["inference_stats"]
    count = new["compute_infer"]["count"] - old["compute_infer"]["count"]
    return count, sum(new[step]["ns"] - old[step]["ns"] for step in steps) / 1e6
