"""`changed` lints serve_config.yaml after a change to it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.document import read
from configs.lint.lint import lint
from configs.problems import Problem

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shipped() -> dict[str, Any]:
    """serve_config.yaml, each application its own copy: anchors make them share parts, and a change must hit one."""
    raw: dict[str, Any] = unshare(read(PROJECT / "serve_config.yaml").raw)
    return raw


@pytest.fixture
def changed(shipped: dict[str, Any]) -> Callable[..., list[Problem]]:
    def lint_changed(**changes: object) -> list[Problem]:
        """Lint after changes such as `applications__1__name="x"`; None deletes a key."""
        raw = unshare(shipped)
        for path, value in changes.items():
            put(raw, path.split("__"), value)
        return lint(raw)

    return lint_changed


def assert_one_error(problems: list[Problem], where: str, what: str, help_: str) -> None:
    """Hold that one of the problems is at that place and says that, that it is an error, and what its help is."""
    found = [problem for problem in problems if problem.where.endswith(where) and what in problem.what]
    assert len(found) == 1
    assert help_ in found[0].help
    assert found[0].severity == "error"


def put(raw: Any, path: list[str], value: object) -> None:
    *parents, last = [int(key) if key.isdigit() else key for key in path]
    for key in parents:
        raw = raw.setdefault(key, {}) if isinstance(raw, dict) else raw[key]
    if value is None:
        del raw[last]
    else:
        raw[last] = value


def unshare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: unshare(inner) for key, inner in value.items()}
    return [unshare(inner) for inner in value] if isinstance(value, list) else copy.copy(value)
