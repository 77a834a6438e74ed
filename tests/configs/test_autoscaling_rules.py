from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.document import read
from configs.lint.autoscaling import TARGET_QUEUE
from configs.lint.lint import lint
from configs.problems import Problem

Lint = Callable[..., list[Problem]]
MODEL = "applications__1__deployments__0__"
FIXED = {MODEL + "num_replicas": None}
PROJECT = Path(__file__).resolve().parents[2]


def scaling(**config: Any) -> dict[str, Any]:
    policy = {"policy_function": TARGET_QUEUE}
    return {"min_replicas": 1, "max_replicas": 4, "metrics_interval_s": 2, "policy": policy, **config}


def user(target_ms: Any = 50, **user_config: Any) -> dict[str, Any]:
    return {MODEL + "user_config": {"targets": {"queue_ms": target_ms}, **user_config}}


def test_the_policy_with_its_target_is_right(changed: Lint) -> None:
    assert changed(**FIXED, **user(), **{MODEL + "autoscaling_config": scaling()}) == []
    patient = {"controller_options__runtime_env__env_vars__RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "300"}
    assert changed(**FIXED, **user(), **patient, **{MODEL + "autoscaling_config": scaling(min_replicas=0)}) == []


def test_serve_s_own_policy_and_a_user_s_are_left_alone(changed: Lint) -> None:
    assert changed(**FIXED, **{MODEL + "autoscaling_config": {"max_replicas": 4}}) == []
    own = scaling(policy={"policy_function": "json:dumps"})
    assert changed(**FIXED, **{MODEL + "autoscaling_config": own}) == []


@pytest.mark.parametrize(
    "config, where, what, help_",
    [
        (
            scaling(policy={"policy_function": TARGET_QUEUE, "policy_kwargs": {"target_queue_ms": 50}}),
            "policy_kwargs",
            "TargetQueue has no arguments",
            "write `user_config: {targets: {queue_ms: 50}}`",
        ),
        (scaling(min_replicas=5), "min_replicas", "is 5, above max_replicas (4)", "raise max_replicas"),
        ({"min_replicas": 2}, "min_replicas", "is 2, above max_replicas (1)", "raise max_replicas"),
        (
            scaling(policy={"policy_function": "deployments.autoscaling:TargetQueu"}),
            "policy.policy_function",
            "does not exist",
            f"did you mean {TARGET_QUEUE!r}?",
        ),
        (
            scaling(policy={"policy_kwargs": {"a": 1}}),
            "policy_kwargs",
            "without policy_function",
            "policy_function: depl",
        ),
        (scaling(policy={"policy_fn": 1}), "policy_fn", "Serve has no such key", "policy_function"),
    ],
)
def test_a_broken_rule_says_where_what_and_what_to_do(
    changed: Lint, config: dict[str, Any], where: str, what: str, help_: str
) -> None:
    found = [each for each in changed(**{MODEL + "autoscaling_config": config}) if what in each.what]
    assert [each.severity for each in found] == ["error"]
    assert found[0].where.endswith(where)
    assert help_ in found[0].help


@pytest.mark.parametrize(
    "given, what",
    [
        ({}, "is missing: TargetQueue scales by it"),
        (user(None), "is missing: TargetQueue scales by it"),
        (user(50, batch_wait_timeout_s=0.05), "not above user_config.batch_wait_timeout_s (0.05 s)"),
        (user(30_000), "not below request_timeout_s (30 s)"),
    ],
)
def test_a_target_that_the_policy_cannot_scale_by_is_refused(changed: Lint, given: dict[str, Any], what: str) -> None:
    [problem] = changed(**FIXED, **given, **{MODEL + "autoscaling_config": scaling()})
    assert what in problem.what
    assert problem.where.endswith("user_config.targets.queue_ms")


def test_a_policy_that_nobody_reports_to_is_refused(changed: Lint) -> None:
    changes = {MODEL + "autoscaling_config": scaling(), **user(), "applications__1__args__ingress_replicas": 2}
    [problem] = [each for each in changed(**changes) if each.severity == "error"]
    assert "cannot see the queue" in problem.what
    root = [{"name": "Root", "autoscaling_config": scaling()}]
    [problem] = changed(applications__0__deployments=root)
    assert "'Root' reports nothing" in problem.what


def test_late_reports_are_warned_of(changed: Lint) -> None:
    [problem] = changed(**FIXED, **user(), **{MODEL + "autoscaling_config": scaling(metrics_interval_s=10)})
    assert (problem.severity, problem.where.endswith("metrics_interval_s")) == ("warning", True)


def test_the_cluster_s_config_scales_on_the_queue_and_passes() -> None:
    raw = read(PROJECT / "configs" / "cluster.yaml").raw
    assert [each for each in lint(raw) if each.severity == "error"] == []
    models = [app["deployments"][0]["autoscaling_config"] for app in raw["applications"] if app["name"] != "root"]
    assert [each["policy"]["policy_function"] for each in models] == [TARGET_QUEUE] * 2


def test_a_policy_that_cannot_be_imported_is_told_not_raised(changed: Lint) -> None:
    missing = scaling(policy={"policy_function": "no_such_module_of_mine:policy"})
    [problem] = changed(**FIXED, **{MODEL + "autoscaling_config": missing})
    assert "no_such_module_of_mine" in problem.what
