"""openapi.yaml, from which a server makes its own, is valid, and says of each route what the application does."""

from typing import Any

import pytest
from schemathesis import openapi

from deployments.http.rest import _ROUTES as MODEL
from deployments.openapi.description import general
from deployments.root import ROUTES as ROOT

PREFIXES = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")


@pytest.fixture
def described() -> dict[str, Any]:
    return general()


def test_it_is_a_valid_description(described: dict[str, Any]) -> None:
    schema = openapi.from_dict(described)
    schema.validate()
    assert [each.err() for each in schema.get_all_operations() if not hasattr(each, "ok")] == []


def test_it_lists_exactly_the_routes_that_are_answered(described: dict[str, Any]) -> None:
    answered = {path: set(route.methods) - {"HEAD"} for path, route in ROOT.items()}
    for prefix in PREFIXES:
        answered |= {prefix + path: set(route.methods) - {"HEAD"} for path, route in MODEL.items()}
    listed = {
        path: {key.upper() for key in item if key in ("get", "post", "put", "delete", "patch", "head")}
        for path, item in described["paths"].items()
    }
    assert listed == answered


def test_no_two_operations_share_a_name_and_each_has_a_sentence(described: dict[str, Any]) -> None:
    operations = [each for item in described["paths"].values() for key, each in item.items() if key != "parameters"]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    assert all(each["summary"].endswith(".") for each in operations)


def test_all_but_the_probes_may_ask_for_a_token(described: dict[str, Any]) -> None:
    without = {path for path, item in described["paths"].items() for each in item.values() if _open(each)}
    assert without == {"/", "/v2/health/live", "/v2/health/ready", *(f"{prefix}/ready" for prefix in PREFIXES)}


def _open(operation: Any) -> bool:
    return isinstance(operation, dict) and operation.get("security") == []
