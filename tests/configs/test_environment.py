from collections.abc import Callable

import pytest

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
def test_a_fast_path_set_on_one_side_only_is_named(
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
    assert problem.what == "is 1, which is no string; Ray takes only strings here"
    assert problem.help == 'put it in quotes: "1"'
