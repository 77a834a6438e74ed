import sys
from collections.abc import Callable
from typing import Any

import pytest

from configs.lint.lint import lint
from configs.problems import Problem
from tests.configs.conftest import assert_one_error

Lint = Callable[..., list[Problem]]
MODEL = "applications__1__deployments__0__"
ARGS = "applications__1__args__"


@pytest.mark.parametrize(
    "path, value, suggestion",
    [
        ("application", [], "applications"),
        ("proxy_locaton", "EveryNode", "proxy_location"),
        ("http_options__prot", 8000, "port"),
        ("grpc_options__prt", 9000, "port"),
        ("logging_config__log_levl", "INFO", "log_level"),
        ("controller_options__runtime_envs", {}, "runtime_env"),
        ("controller_options__runtime_env__env_var", {}, "env_vars"),
        ("applications__1__route_prefx", "/x", "route_prefix"),
        ("applications__1__logging_config__encodng", "JSON", "encoding"),
        ("applications__1__runtime_env__env_varz", {}, "env_vars"),
        (MODEL + "max_ongoing_request", 7, "max_ongoing_requests"),
        (MODEL + "num_replica", 2, "num_replicas"),
        (MODEL + "autoscaling_config", {"min_replica": 1}, "min_replicas"),
        (MODEL + "backpressure_config", {"status": 503}, "status_code"),
        (MODEL + "ray_actor_options", {"num_cpu": 1}, "num_cpus"),
    ],
)
def test_a_misspelt_key_is_caught_with_its_suggestion(changed: Lint, path: str, value: object, suggestion: str) -> None:
    helps = [problem.help for problem in changed(**{path: value}) if "no such key" in problem.what]
    assert helps == [f"did you mean {suggestion!r}?"]


def test_what_ray_leaves_free_form_is_left_alone(changed: Lint) -> None:
    assert changed(applications__1__runtime_env__env_vars__MY_OWN="x") == []
    assert changed(applications__1__args__source={"factory": "json:loads", "kwargs": {"s": "", "any": "thing"}}) == []


def test_every_known_key_of_serve_passes() -> None:
    schema = pytest.importorskip("ray.serve.schema")
    raw = dict.fromkeys(schema.ServeDeploySchema.model_fields)
    deployment = dict.fromkeys(schema.DeploymentSchema.model_fields)
    raw["applications"] = [{"name": "mine", "import_path": "mine:app", "deployments": [deployment]}]
    assert [problem for problem in lint(raw) if "no such key" in problem.what] == []


@pytest.mark.parametrize(
    "path, value, told",
    [
        (
            "applications__1__route_prefix",
            "/digits",
            ("(digits).route_prefix", "not '/v2/models/digits'", "write `route_"),
        ),
        ("applications__1__route_prefix", None, ("(digits).route_prefix", "is missing", "/v2/models/digits`")),
        ("applications__1__name", "digit", ("(digit).name", "is 'digit', not 'digits'", "write `name: digits`")),
        (
            "applications__2__name",
            "digits",
            ("applications[2] (digits).name", "already used by applications[1]", "its own name"),
        ),
        (
            "applications__2__route_prefix",
            "/v2/models/digits",
            ("(digits-cpu).route_prefix", "already used by applications[1]", "its own route"),
        ),
        ("applications__0__name", "rot", ("(rot).name", "is 'rot', not 'root'", "write `name: root`")),
        (
            "applications__1__import_path",
            "deployments.app:modle",
            ("import_path", "does not exist", "'deployments.app:model'"),
        ),
        ("applications__0__deployments", [{"name": "Rot"}], ("[0] (Rot).name", "called 'Rot'", "did you mean 'Root'?")),
        (MODEL + "name", "Modle", ("deployments[0] (Modle).name", "called 'Modle'", "did you mean 'Model'?")),
        (MODEL + "ray_actor_options", {"num_cpus": 1}, ("ray_actor_options", "args.device", "use args.num_cpus")),
        (MODEL + "max_ongoing_requests", None, ("max_ongoing_requests", "is missing: Serve would allow 5", "1024")),
        (MODEL + "max_ongoing_requests", 32, ("max_ongoing_requests", "is 32, below max_batch_size (64)", "1024")),
        (
            MODEL + "user_config__max_batch_size",
            128,
            ("user_config.max_batch_size", "above args.max_batch_size (64)", "lower it to 64"),
        ),
        (
            "applications__1__deployments",
            None,
            ("max_ongoing_requests", "is missing", "under the deployment named Model"),
        ),
        (MODEL + "max_surge_percent", "many", ("max_surge_percent", "must be a number", "without quotes")),
    ],
)
def test_a_broken_rule_says_where_what_and_what_to_do(
    changed: Lint, path: str, value: object, told: tuple[str, str, str]
) -> None:
    assert_one_error(changed(**{path: value}), *told)


def test_a_url_and_a_user_s_own_application_are_left_alone(changed: Lint, shipped: dict[str, Any]) -> None:
    assert changed(**{ARGS + "source__weights": "s3://bucket/digits.safetensors"}) == []
    shipped["applications"].append(
        {**shipped["applications"][0], "name": "mine", "route_prefix": "/mine", "import_path": "mine:app"}
    )
    assert lint(shipped) == []


def test_a_missing_root_application_is_a_warning(changed: Lint) -> None:
    (problem,) = changed(applications__0__import_path="mine:app")
    assert problem.severity == "warning"
    assert "deployments.app:root" in problem.help


def test_without_ray_the_project_s_rules_still_hold(changed: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.serve.schema", None)
    found = changed(**{MODEL + "max_ongoing_requests": 1})
    assert [problem.severity for problem in found] == ["warning", "error"]


@pytest.mark.parametrize("raw", [{}, {"applications": None}, {"applications": [None, 3]}, {"applications": [{}]}])
def test_lint_survives_any_shape(raw: dict[str, Any]) -> None:
    assert lint(raw)
