"""What the linter says of a canary that cannot work."""

from collections.abc import Callable
from typing import Any

import pytest

from configs.lint.lint import lint
from configs.problems import Problem
from tests.configs.conftest import put, unshare

CANARY = {"application": "digits-cpu", "percent": 20}
HERE = "applications__1__deployments__0__user_config__canary"


@pytest.fixture
def with_canary(shipped: dict[str, Any]) -> Callable[..., list[Problem]]:
    def lint_it(**changes: object) -> list[Problem]:
        raw = unshare(shipped)
        for path, value in {HERE: dict(CANARY), "applications__2__args__version": "2", **changes}.items():
            put(raw, path.split("__"), value)
        return [problem for problem in lint(raw) if problem.severity == "error"]

    return lint_it


def test_a_canary_of_another_version_with_the_same_tensors_is_fine(with_canary: Callable[..., list[Problem]]) -> None:
    assert with_canary() == []


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({f"{HERE}__application": "digits-cup"}, "no application with import_path deployments.app:model has that name"),
        ({f"{HERE}__application": "root"}, "no application with import_path deployments.app:model has that name"),
        ({f"{HERE}__application": "digits"}, "is the application itself"),
        ({"applications__2__args__version": "1"}, "which has the same version, '1'"),
        ({"applications__2__args__inputs__0__shape": [-1, 1, 9, 9]}, "whose inputs differ"),
        ({"applications__2__args__outputs__0__name": "other"}, "whose outputs differ"),
        ({"applications__1__args__ingress_replicas": 2}, "is under 'Model', which does not read the requests here"),
        (
            {"applications__2__deployments__0__user_config__canary": {"application": "digits", "percent": 1}},
            "has a canary of its own",
        ),
    ],
)
def test_a_canary_that_cannot_work_is_refused(
    with_canary: Callable[..., list[Problem]], changes: dict[str, object], sentence: str
) -> None:
    found = with_canary(**changes)
    assert any(sentence in problem.what for problem in found), found
    assert all(problem.help for problem in found)
