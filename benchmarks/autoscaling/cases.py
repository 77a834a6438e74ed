"""What is compared: two models, the settings of both policies, and the runs that make the table."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.serve.config import AutoscalingConfig

from deployments.autoscaling.decide import MOST_LOAD, rate_within

from .traffic import Shape

OURS, SERVE = "TargetQueue", "Serve's default"
# Serve's own delays are its defaults; the others are those of configs/cluster.yaml.
DELAYS: dict[str, dict[str, float]] = {
    "of cluster.yaml": {
        "metrics_interval_s": 2,
        "look_back_period_s": 10,
        "upscale_delay_s": 5,
        "downscale_delay_s": 300,
    },
    "Serve's": {},
}
_MOST_REPLICAS = 16
_DESCRIBED = "described, not measured: 180 ms and 20 ms a row"
# By rows. Kept here, since a later run of that program must not change what the simulation says.
_RESNET50_MS = {1: 105.66995599947404, 2: 211.030350999863, 4: 376.576418500008}
_MEASURED = (
    "p50 of its TorchScript forward on a CPU core to its best batch size, measured by benchmarks.five_mistakes at "
    "commit 03d4ffda1a31"
)


@dataclass(frozen=True, slots=True)
class Model:
    """`forward_ms` is by rows; `targets` are those tried of Serve's target_ongoing_requests."""

    name: str
    source: str
    forward_ms: Mapping[int, float]
    slo_ms: float
    peak_rps: float
    targets: tuple[float, ...]

    @property
    def target_queue_ms(self) -> float:
        """What is left of the objective for waiting, once a full batch's forward is taken from it."""
        return self.slo_ms - max(self.forward_ms.values())


@dataclass(frozen=True, slots=True)
class PolicySetting:
    """One policy with its delays; `target` is requests for Serve's, milliseconds for ours."""

    policy: str
    target: float
    delays: str


def models() -> tuple[Model, Model]:
    """Return one as measured, whose batches gain little, and a described one whose batches gain much."""
    described = {rows: 180.0 + 20 * rows for rows in (1, 2, 4, 8, 16)}
    return (
        Model("resnet50 on a CPU core", _MEASURED, _RESNET50_MS, 1500, 60, (0.5, 0.7, 1, 2, 4)),
        Model("batches pay", _DESCRIBED, described, 1500, 100, (1, 2, 4, 8, 16)),
    )


def settings(model: Model) -> list[PolicySetting]:
    """Return ours, and Serve's with every target under both kinds of delay."""
    own = [PolicySetting(SERVE, target, delays) for delays in DELAYS for target in model.targets]
    return [PolicySetting(OURS, model.target_queue_ms, next(iter(DELAYS))), *own]


def config(model: Model, shape: Shape, setting: PolicySetting) -> AutoscalingConfig:
    """Return what the YAML would say. All begin with as many replicas as the first minute needs."""
    rate = rate_within(model.forward_ms, model.target_queue_ms)
    first = max(1, math.ceil(model.peak_rps * shape.share(0) / rate / MOST_LOAD))
    given: dict[str, Any] = {"min_replicas": 1, "initial_replicas": first, "max_replicas": _MOST_REPLICAS}
    given |= DELAYS[setting.delays]
    if setting.policy == OURS:
        given["policy"] = {"policy_function": "deployments.autoscaling:TargetQueue"}
    else:
        given["target_ongoing_requests"] = setting.target
    return AutoscalingConfig(**given)
