import logging
import math
import pickle
import subprocess
import sys
from typing import Any

import pytest
from ray import cloudpickle
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from deployments.autoscaling import TargetQueue
from deployments.autoscaling.policy import target
from tests.deployments.ray_compat.tested import private

REPORT = {"rows_waiting": 0.0, "rows_running": 1.0, "rows_per_s": 64.0, "loop_share": 0.1, "started_s": 9.0}
TIMES = {"forward_ms_1": 100.0, "forward_ms_8": 200.0, "target_queue_ms": 500.0}


def context(metrics: Any, running: int = 1, wanted: Any = 1, queued: Any = 0.0, **config: Any) -> AutoscalingContext:
    return AutoscalingContext(
        deployment_id=private("ray.serve._private.common.DeploymentID")("Model", "digits"),
        deployment_name="Model",
        app_name="digits",
        current_num_replicas=running,
        target_num_replicas=wanted,
        running_replicas=[],
        total_num_requests=0.0,
        total_queued_requests=queued,
        aggregated_metrics=metrics,
        raw_metrics={},
        capacity_adjusted_min_replicas=0,
        capacity_adjusted_max_replicas=9,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=0.0,
        config=AutoscalingConfig(max_replicas=9, **config),
    )


def reported(*replicas: str, **changes: Any) -> dict[str, dict[str, float]]:
    return {key: dict.fromkeys(replicas, value) for key, value in {**REPORT, **TIMES, **changes}.items()}


def test_it_rounds_up_what_is_needed() -> None:
    assert TargetQueue()(context(reported("a"))) == (2, {})
    assert TargetQueue()(context(reported("a", rows_per_s=65.0))) == (3, {})
    assert TargetQueue()(context(reported("a", rows_per_s=0.0, rows_running=0.0))) == (0, {})


def test_what_waits_in_ray_s_own_proxy_counts() -> None:
    assert TargetQueue()(context(reported("a", rows_per_s=1.0), queued=30.0)) == (2, {})


def test_a_replica_that_has_not_reported_yet_is_left_out() -> None:
    metrics = reported("a")
    metrics["forward_ms_1"]["b"] = 100.0
    assert TargetQueue()(context(metrics, running=2)) == (2, {})


@pytest.mark.parametrize(
    "metrics",
    [
        None,
        {},
        {"running_requests": {"a": 3.0}},
        reported("a", rows_waiting=math.nan),
        reported("a", rows_waiting=-1.0),
        reported("a", forward_ms_1=0.0, forward_ms_8=math.inf),
        {**reported("a"), "forward_ms_many": {"a": 1.0}},
        {**reported("a"), "rows_waiting": None},
        {**reported("a"), "rows_waiting": {"a": "three"}},
        7,
    ],
)
def test_whatever_cannot_be_read_keeps_the_number_of_replicas(metrics: Any) -> None:
    assert TargetQueue()(context(metrics, wanted=3)) == (3, {})


def test_it_never_raises_whatever_the_context_is() -> None:
    policy = TargetQueue()
    assert policy(None) == (1, {})
    assert policy(context(reported("a"), wanted="two")) == (1, {})
    assert policy(context(reported("a"), queued="x", wanted=2)) == (2, {})
    assert policy(context(lambda: 1 / 0, wanted=2)) == (2, {})


def test_a_trouble_is_told_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    # Serve's own logger may have been set up by another test so that nothing propagates.
    monkeypatch.setattr("deployments.autoscaling.policy._log", logging.getLogger("tests.autoscaling"))
    policy = TargetQueue()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            policy(context(lambda: 1 / 0))
            policy(context(reported("a", target_queue_ms=20.0)))
            policy(context(reported("a", target_queue_ms=0.0)))
    lines = [record.message for record in caplog.records]
    assert len(lines) == 3
    assert "ZeroDivisionError" in lines[0]
    assert "a forward takes 100 ms, so targets.queue_ms 20 cannot be met" in lines[1]
    assert "user_config.targets.queue_ms is not set; keeping 1 replicas" in lines[2]


def test_a_target_that_not_all_replicas_have_yet_is_the_shortest() -> None:
    metrics = reported("a", "b") | {"target_queue_ms": {"a": 500.0, "b": 150.0}}
    assert target(metrics) == 150
    assert target(metrics | {"target_queue_ms": {"b": 500.0}}) == 500
    assert target({}) is None


def test_it_works_where_the_project_is_not_installed() -> None:
    """Serve pickles it by value in the build task and unpickles it in the controller."""
    # What Serve itself does with the string in the YAML.
    module, policy = private("ray._common.utils.import_module_and_attr")("deployments.autoscaling:TargetQueue")
    cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        carried = cloudpickle.dumps(policy)  # type: ignore[no-untyped-call]
    finally:
        cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]
    code = """
import pickle, sys
from types import SimpleNamespace as Of
policy = pickle.loads(sys.stdin.buffer.read())()
context = Of(target_num_replicas=1, current_num_replicas=1, app_name="x", total_queued_requests=0, aggregated_metrics={
    "rows_waiting": {"a": 0}, "rows_running": {"a": 1}, "rows_per_s": {"a": 64}, "loop_share": {"a": 0},
    "started_s": {"a": 9},    "forward_ms_1": {"a": 100}, "forward_ms_8": {"a": 200},
    "target_queue_ms": {"a": 500}})
assert policy(context) == (2, {}), policy(context)
assert not any(name.split(".")[0] in ("deployments", "configs", "models") for name in sys.modules)
"""
    assert pickle.loads(carried) is not None
    subprocess.run([sys.executable, "-I", "-c", code], input=carried, check=True, cwd="/", timeout=60)


def test_serve_applies_its_delays_and_goes_to_zero_by_its_own_rules() -> None:
    wrapped = private("ray.serve.autoscaling_policy._apply_autoscaling_config")(TargetQueue())
    idle = reported("a", rows_per_s=0.0, rows_running=0.0)
    assert wrapped(context(reported("a"), upscale_delay_s=0))[0] == 2
    assert wrapped(context(reported("a"), upscale_delay_s=60))[0] == 1
    assert wrapped(context(idle, min_replicas=0, downscale_delay_s=0))[0] == 0
    assert wrapped(context(idle, min_replicas=0, downscale_delay_s=60))[0] == 1
    assert wrapped(context(idle, running=3, wanted=3, min_replicas=0, downscale_delay_s=0))[0] == 1
