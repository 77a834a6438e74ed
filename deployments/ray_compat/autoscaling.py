"""Serve's own autoscaling without a Serve: `python -m benchmarks.autoscaling` runs it on a clock of its own.

Nothing that is served depends on it. Each function needs `check` to have passed.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from .names import Part, classes, fields, functions, problems, values

_STATE, _COMMON = "ray.serve._private.autoscaling_state", "ray.serve._private.common"
_POLICY, _METRICS = "ray.serve.autoscaling_policy", "ray.serve._private.metrics_utils"
PART = Part(
    "Serve's autoscaling in a simulation",
    "`python -m benchmarks.autoscaling` does not run",
    (
        *classes(
            _COMMON,
            {
                "DeploymentID": "name app_name",
                "ReplicaID": "unique_id deployment_id",
                "ReplicaMetricReport": "replica_id metrics timestamp",
            },
        ),
        *values(_COMMON, "RUNNING_REQUESTS_KEY"),
        *classes(_STATE, {"DeploymentAutoscalingState": "deployment_id"}),
        *fields(_STATE, "DeploymentAutoscalingState", "_config _policy _policy_state record_autoscaling_metrics"),
        *functions(
            _STATE,
            {
                "_resolve_policy_callable": "policy",
                "DeploymentAutoscalingState.record_request_metrics_for_replica": "replica_metric_report",
                "DeploymentAutoscalingState.update_running_replica_ids": "running_replicas",
                "DeploymentAutoscalingState.get_decision_num_replicas": "curr_target_num_replicas",
                "DeploymentAutoscalingState.on_replica_stopped": "replica_id",
            },
        ),
        *values(_STATE, "time"),
        *functions(_POLICY, {"_apply_autoscaling_config": "policy_func"}),
        *values(_POLICY, "time"),
        *classes(_METRICS, {"InMemoryMetricsStore": ""}),
        *fields(_METRICS, "InMemoryMetricsStore", "data"),
        *functions(
            _METRICS,
            {
                "InMemoryMetricsStore.add_metrics_point": "data_points timestamp",
                "InMemoryMetricsStore.prune_keys_and_compact_data": "start_timestamp_s",
            },
        ),
    ),
)


@cache
def check() -> None:
    """Raise RuntimeError where this Ray differs."""
    if wrong := list(problems(PART)):
        raise RuntimeError(f"{PART.lost}: {'; '.join(wrong)}")


def deployment_state(config: Any) -> Any:
    """Return what decides how many replicas a deployment has; its gauges, those of a Ray that does not run, are off."""
    from ray.serve import autoscaling_policy
    from ray.serve._private import autoscaling_state

    state: Any = autoscaling_state.DeploymentAutoscalingState(_deployment())
    state._config = config
    state._policy = autoscaling_policy._apply_autoscaling_config(
        autoscaling_state._resolve_policy_callable(config.policy)
    )
    state._policy_state = {}
    state.record_autoscaling_metrics = lambda *_: None
    return state


def replica_id(name: str) -> Any:
    from ray.serve._private.common import ReplicaID

    return ReplicaID(name, _deployment())


def replica_report(replica: Any, metrics: Mapping[str, Any], at_s: float) -> Any:
    """Return what a replica sends to the controller."""
    from ray.serve._private.common import ReplicaMetricReport

    return ReplicaMetricReport(replica, dict(metrics), at_s)


def metrics_store() -> Any:
    """Return what a replica collects its metrics in."""
    from ray.serve._private.metrics_utils import InMemoryMetricsStore

    return InMemoryMetricsStore()  # type: ignore[no-untyped-call]


def ongoing_key() -> str:
    """Return the key of the number of ongoing requests among a replica's metrics."""
    from ray.serve._private.common import RUNNING_REQUESTS_KEY

    return RUNNING_REQUESTS_KEY


def modules_with_a_clock() -> list[Any]:
    """Return the modules of Serve's autoscaling that read the time from a global `time`."""
    from ray.serve import autoscaling_policy
    from ray.serve._private import autoscaling_state

    return [autoscaling_state, autoscaling_policy]


def _deployment() -> Any:
    from ray.serve._private.common import DeploymentID

    return DeploymentID("Model", "simulated")
