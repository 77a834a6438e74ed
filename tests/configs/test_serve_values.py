"""Values of Serve's own keys that Ray would take for something else."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.loader import check
from configs.problems import Problem

Lint = Callable[..., list[Problem]]
MODEL = "applications__1__deployments__0__"


def errors(found: list[Problem]) -> list[tuple[str, str]]:
    return [(str(problem.keys[-1]), problem.what) for problem in found if problem.severity == "error"]


@pytest.mark.parametrize(
    "path, value, what",
    [
        ("http_options__port", True, "is True, but must be a number"),
        ("http_options__port", "8000", "is '8000', but must be a number"),
        ("http_options__keep_alive_timeout_s", 1.5, "is 1.5, but must be a whole number"),
        ("http_options__request_timeout_s", math.inf, "is inf, but must be a finite number"),
        ("grpc_options__port", "9000", "is '9000', but must be a number"),
        (MODEL + "max_ongoing_requests", True, "is True, but must be a number"),
        (MODEL + "max_ongoing_requests", "1024", "is '1024', but must be a number"),
        (MODEL + "num_replicas", True, "is True, but must be a number"),
        (MODEL + "health_check_period_s", math.nan, "is nan, but must be a finite number"),
        (MODEL + "graceful_shutdown_timeout_s", "20", "is '20', but must be a number"),
        ("logging_config__enable_access_log", "false", "is 'false', but must be true or false"),
        ("target_capacity", "50", "is '50', but must be a number"),
    ],
)
def test_a_value_of_another_type_is_refused(changed: Lint, path: str, value: object, what: str) -> None:
    found = changed(**{path: value})
    assert errors(found) == [(path.rpartition("__")[2], what)]
    if isinstance(value, str):
        meant = "false" if value == "false" else value
        assert [each.help for each in found] == [f"write `{path.rpartition('__')[2]}: {meant}`"]


@pytest.mark.parametrize(
    "config, key, what",
    [
        ({"min_replicas": True, "max_replicas": 3}, "min_replicas", "is True, but must be a number"),
        ({"max_replicas": "3"}, "max_replicas", "is '3', but must be a number"),
        ({"max_replicas": 3, "upscale_delay_s": math.inf}, "upscale_delay_s", "is inf, but must be a finite number"),
        ({"max_replicas": 3, "min_replicas": -1}, "min_replicas", "Input should be greater than or equal to 0"),
    ],
)
def test_autoscaling_is_read_before_the_deployment_starts(
    changed: Lint, config: dict[str, object], key: str, what: str
) -> None:
    found = changed(**{MODEL + "num_replicas": "auto", MODEL + "autoscaling_config": config})
    assert (key, what) in errors(found)


def test_what_is_a_number_or_a_word_may_be_either(changed: Lint) -> None:
    assert changed(**{MODEL + "num_replicas": "auto"}) == []
    assert changed(**{MODEL + "num_replicas": 3, "logging_config__log_level": 30}) == []


@pytest.mark.parametrize(
    "path, value, what",
    [
        (MODEL + "user_config__max_queue_size", 8, "is 8, below max_batch_size (64): no batch could fill"),
        ("http_options__host", "127.0.0.1:8000", "'127.0.0.1:8000' is not an address"),
        ("http_options__host", "http://0.0.0.0", "'http://0.0.0.0' is not an address"),
        (
            "applications__1__args__accelerator_type",
            "A100x",
            "is 'A100x', which the installed Ray does not know: if no node has that name, the model waits for ever",
        ),
        ("applications__1__args__tolerance", 10, "is 10: an answer that is wrong by its whole value would pass"),
        ("applications__1__args__auth", {"tokens_file": "no/such"}, "no/such: no such file on this machine"),
    ],
)
def test_a_value_that_makes_no_sense_beside_others_is_told(changed: Lint, path: str, value: object, what: str) -> None:
    assert what in [problem.what for problem in changed(**{path: value})]


@pytest.mark.parametrize(
    "line, told",
    [
        ("max_batch_size: 010", "is written 010, which YAML reads as 8"),
        ("max_batch_size: 1:30", "is written 1:30, which YAML reads as 90"),
        ("num_cpus: 1:30.5", "is written 1:30.5, which YAML reads as 90.5"),
        ("on: {1: 010}", "is written 010, which YAML reads as 8"),
    ],
)
def test_a_number_that_yaml_reads_otherwise_than_it_looks_is_refused(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"applications:\n- import_path: deployments.app:model\n  args:\n    {line}\n    precision: 0\n")
    found = {problem.what: place for place, problem in check(path)[1]}
    assert found[told] == f"{path}:4"


@pytest.mark.parametrize(
    "line", ["max_batch_size: 10", "max_batch_size: 0", "max_batch_size: 0x10", "version: '010'", "num_cpus: 0.5"]
)
def test_a_number_that_is_what_it_looks_like_is_left_alone(tmp_path: Path, line: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"applications:\n- import_path: deployments.app:model\n  args:\n    {line}\n")
    assert not [problem for _, problem in check(path)[1] if "which YAML reads as" in problem.what]


def test_an_accelerator_that_ray_knows_is_left_alone(changed: Lint) -> None:
    assert changed(applications__1__args__accelerator_type="A100") == []
