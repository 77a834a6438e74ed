"""What the linter says of a root application that is missing, there twice, elsewhere, or without its route."""

from collections.abc import Callable
from typing import Any

import pytest

from configs.lint.lint import lint

Apps = list[dict[str, Any]]
ROOT = "deployments.app:root"


def own(apps: Apps, **keys: object) -> dict[str, Any]:
    """An application of the user's own, with the variables of the others."""
    return {"name": "mine", "import_path": "mine.app:app", "runtime_env": apps[0]["runtime_env"], **keys}


@pytest.mark.parametrize(
    "change, where, what, advice",
    [
        (lambda a: [*a, {**a[0]}], "applications[3] (root)", "is a second root application", "remove it"),
        (
            lambda a: [*a, {**a[0], "name": "other", "route_prefix": "/other"}],
            "applications[3] (other)",
            "is a second root application, after applications[0]",
            "remove it",
        ),
        (lambda a: [*a, own(a, route_prefix="/")], "(mine).route_prefix", "'/' is the route of the root", "/mine"),
        (lambda a: [own(a, route_prefix="/"), *a], "(mine).route_prefix", "applications[1], which has the", "/mine"),
        (lambda a: [*a, own(a)], "(mine).route_prefix", "'/' is the route of the root application", "such as /mine"),
        (
            lambda a: [*a, own(a, name="root", route_prefix="/mine")],
            "applications[3] (root).name",
            "'root' is the name of the root application, applications[0]",
            "give it another name",
        ),
        (lambda a: [{**a[0], "name": "main"}, *a[1:]], "(main).name", "is 'main', not 'root'", "write `name: root`"),
        (
            lambda a: [{**a[0], "route_prefix": "/api"}, *a[1:]],
            "(root).route_prefix",
            "is '/api', not '/'",
            "write `route_prefix: /`: the root application has the console",
        ),
    ],
)
def test_each_mistake_with_it_is_told_once_with_the_place_and_the_way_out(
    change: Callable[[Apps], Apps], where: str, what: str, advice: str, shipped: dict[str, Any]
) -> None:
    shipped["applications"] = change(shipped["applications"])
    [problem] = lint(shipped)
    assert problem.where.endswith(where)
    assert what in problem.what
    assert advice in problem.help
    assert problem.severity == "error"


def test_without_a_route_it_has_serve_s_default_which_is_the_right_one(shipped: dict[str, Any]) -> None:
    del shipped["applications"][0]["route_prefix"]
    assert lint(shipped) == []


def test_without_it_a_warning_says_what_is_missing(shipped: dict[str, Any]) -> None:
    """Models answer without it, and an application of one's own may be at `/`."""
    shipped["applications"] = [*shipped["applications"][1:], own(shipped["applications"], route_prefix="/")]
    [problem] = lint(shipped)
    assert (problem.severity, problem.where) == ("warning", "applications")
    assert f"no application has import_path {ROOT}: the console, /v2, health" in problem.what
    assert "with the runtime_env of the others" in problem.help


def test_a_model_called_root_needs_another_name_in_every_place(shipped: dict[str, Any]) -> None:
    model = shipped["applications"][1]
    model["args"]["name"] = model["name"] = "root"
    model["route_prefix"] = "/v2/models/root"
    [problem] = lint(shipped)
    assert problem.help == "give the model another name, in args.name and route_prefix too"
