from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from configs.problems import Problem

Lint = Callable[..., list[Problem]]


@pytest.mark.parametrize(
    "path, value, where, what",
    [
        ("applications__1__runtime_env", None, "(digits).runtime_env.env_vars", "for the controller, but not set here"),
        ("controller_options", None, "(digits).runtime_env.env_vars", "here, but not set in controller_options"),
        (
            "applications__1__runtime_env__env_vars__RAY_SERVE_ENABLE_HA_PROXY",
            "0",
            "(digits).runtime_env.env_vars",
            "'0' here, but '1' in controller_options",
        ),
    ],
)
def test_a_variable_set_on_one_side_only_is_named(
    changed: Lint, path: str, value: object, where: str, what: str
) -> None:
    found = [problem for problem in changed(**{path: value}) if problem.where.endswith(where) and what in problem.what]
    assert found
    assert found[0].what.startswith("RAY_SERVE_ENABLE_HA_PROXY is ")
    assert "every application" in found[0].help


def test_a_variable_that_ray_does_not_read_is_a_warning_with_its_suggestion(changed: Lint) -> None:
    (problem,) = changed(applications__1__runtime_env__env_vars__RAY_SERVE_THROUGHPUT_OPTIMISED="1")
    assert (problem.severity, problem.help) == ("warning", "did you mean 'RAY_SERVE_THROUGHPUT_OPTIMIZED'?")


def test_a_variable_that_is_no_string_is_an_error(changed: Lint) -> None:
    (problem,) = changed(applications__1__runtime_env__env_vars__OMP_NUM_THREADS=1)
    assert problem.what == "is 1, which is not a string; Ray accepts only strings here"
    assert problem.help == 'put it in quotes: "1"'


SERVER = "controller_options__runtime_env__env_vars__RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S"
TUNABLE = "applications__1__deployments__0__user_config__request_timeout_s"
SCALING = "applications__1__deployments__0__autoscaling_config"


@pytest.mark.parametrize("changes", [{SERVER: "30"}, {TUNABLE: 60}, {TUNABLE: 90.5}])
def test_a_haproxy_that_is_less_patient_than_a_model_is_an_error(changed: Lint, changes: dict[str, object]) -> None:
    found = [problem for problem in changed(**changes) if problem.where.endswith("TIMEOUT_SERVER_S")]
    assert found
    assert {problem.severity for problem in found} == {"error"}
    assert found[0].what.startswith("HAProxy gives up a request after ")


@pytest.mark.parametrize("changes", [{}, {SERVER: None}, {SERVER: "31"}, {TUNABLE: 59}])
def test_a_patient_one_is_none(changed: Lint, changes: dict[str, object]) -> None:
    assert [problem for problem in changed(**changes) if "TIMEOUT_SERVER" in problem.where] == []


def test_a_model_that_scales_to_zero_needs_a_patience_for_its_start(changed: Lint) -> None:
    to_zero = {"applications__1__deployments__0__num_replicas": None, SCALING: {"min_replicas": 0, "max_replicas": 2}}
    (problem,) = changed(**to_zero)
    assert (problem.severity, problem.help) == ("warning", 'write "300", or more if digits takes longer to start')
    assert changed(**to_zero, **{SERVER: "300"}) == []


ENV = "controller_options__runtime_env__env_vars"
DRAIN = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
GRACE = "applications__{}__deployments__0__graceful_shutdown_timeout_s"
PROJECT = Path(__file__).resolve().parents[2]


LIMIT = "applications__1__runtime_env__env_vars__RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH"
CANARY = {"applications__1__deployments__0__user_config__canary": {"application": "mlp", "percent": 5}}
INGRESS = {"applications__1__args__ingress_replicas": 2}


@pytest.mark.parametrize("caller", [CANARY, INGRESS])
@pytest.mark.parametrize(
    "limit, said", [(None, "a caller that hangs"), ("4194304", "larger than 4194304"), ("2147483647", None)]
)
def test_replicas_that_call_each_other_need_the_highest_limit_of_a_call(
    changed: Lint, caller: dict[str, object], limit: str | None, said: str | None
) -> None:
    found = [problem for problem in changed(**caller, **{LIMIT: limit}) if "2147483647" in problem.help]
    assert [problem.severity for problem in found] == ["warning"] * (said is not None)
    assert all(str(said) in problem.what for problem in found)


def test_a_haproxy_whose_socket_is_open_to_others_is_a_warning(changed: Lint) -> None:
    (problem,) = changed(**{f"{ENV}__RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH": None})
    assert (problem.severity, problem.help) == (
        "warning",
        "add RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH: deployments.haproxy:install",
    )


@pytest.mark.parametrize(
    "drain, grace_s, warned", [("1", None, 0), ("20", None, 2), ("30", None, 2), ("30", 30, 2), ("30", 60, 0)]
)
def test_a_replica_without_time_for_what_it_took_at_the_end_of_its_drain_is_a_warning(
    changed: Lint, drain: str, grace_s: int | None, warned: int
) -> None:
    graces = {} if grace_s is None else {GRACE.format(app): grace_s for app in (1, 2)}
    found = changed(**{f"{ENV}__{DRAIN}": drain, **graces})
    assert [problem.severity for problem in found] == ["warning"] * warned
    assert {problem.help for problem in found} <= {f"write graceful_shutdown_timeout_s: {int(drain) + 30}"}


def test_every_shipped_config_has_the_same_variables_and_the_one_of_several_nodes_a_longer_drain() -> None:
    files = [PROJECT / "serve_config.yaml", *(PROJECT / "configs" / f"{name}.yaml" for name in SHIPPED)]
    found = [yaml.safe_load(file.read_text())["controller_options"]["runtime_env"]["env_vars"] for file in files]
    assert [each.pop(DRAIN) for each in found] == ["1", "30", "1", "1", "1"]
    assert all(each == found[0] for each in found)


def test_a_replica_of_several_nodes_may_finish_what_it_took_at_the_end_of_its_drain() -> None:
    raw = yaml.safe_load((PROJECT / "configs" / "cluster.yaml").read_text())
    drain_s = float(raw["controller_options"]["runtime_env"]["env_vars"][DRAIN])
    for model in [app["deployments"][0] for app in raw["applications"] if "deployments" in app]:
        request_timeout_s = model.get("user_config", {}).get("request_timeout_s", 30)
        assert model["graceful_shutdown_timeout_s"] >= drain_s + request_timeout_s


SHIPPED = ("cluster", "minilm", "mlp", "resnet50")


def test_the_image_runs_what_answers_on_sigterm_what_is_under_way() -> None:
    image = (PROJECT / "configs" / "kubernetes" / "Dockerfile").read_text()
    assert '\nCMD ["pitstop", "run", "--verbose", "serve_config.yaml"]' in image
    assert "STOPSIGNAL" not in image


@pytest.mark.parametrize(
    "name, value",
    [
        ("HAPROXY_TIMEOUT_SERVER_S", "5.5"),
        ("HAPROXY_TIMEOUT_CLIENT_S", "60s"),
        ("HAPROXY_NBTHREAD", ""),
        ("PROXY_HEALTH_CHECK_PERIOD_S", "0"),
        ("DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", "5 s"),
    ],
)
def test_a_number_that_ray_cannot_read_is_an_error(changed: Lint, name: str, value: str) -> None:
    found = [problem for problem in changed(**{f"{ENV}__RAY_SERVE_{name}": value}) if "Ray Serve needs" in problem.what]
    assert [(problem.keys[-1], problem.severity) for problem in found] == [(f"RAY_SERVE_{name}", "error")]


@pytest.mark.parametrize("name", ["CONTROLLER", "HTTP_PROXY"])
@pytest.mark.parametrize(
    "value", ["deployments.haproxy:instal", "deployments.haprox:install", "deployments.haproxy.no"]
)
def test_a_callback_that_is_not_there_is_an_error(changed: Lint, name: str, value: str) -> None:
    key = f"RAY_SERVE_{name}_CALLBACK_IMPORT_PATH"
    found = [problem for problem in changed(**{f"{ENV}__{key}": value}) if problem.keys[-1] == key]
    assert [problem.severity for problem in found] == ["error"]
    assert changed(**{f"{ENV}__{key}": "deployments.haproxy.install"}) == []
