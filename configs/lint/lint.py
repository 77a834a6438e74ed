"""Checks a Serve config: Serve's own keys and values, then the rules of every file here.

A new subject is a file in this folder and an entry in `_RULES`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..key_places import serve_schema
from ..problems import Problem
from .applications import application_rules
from .auth import auth_rules
from .autoscaling import autoscaling_rules
from .canary import canary_rules
from .environment import environment_rules
from .grpc import grpc_rules
from .ingress import ingress_rules
from .path_checks import hidden_packages, path_rules
from .ports import port_rules
from .root import root_rules
from .serve_keys import refused_by_serve, unknown_keys
from .serve_values import serve_values
from .tracing import tracing_rules

_RULES: tuple[Callable[[Mapping[str, Any]], Iterator[Problem]], ...] = (
    application_rules,
    root_rules,
    grpc_rules,
    port_rules,
    auth_rules,
    autoscaling_rules,
    canary_rules,
    ingress_rules,
    tracing_rules,
    environment_rules,
    path_rules,
    hidden_packages,
)
_NO_RAY = Problem(
    (), "", "Ray Serve is not installed, so its keys were not checked", "pip install 'ray[serve]'", "warning"
)


def lint(raw: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with a Serve config beyond the args and user_configs of its models."""
    schema = serve_schema()
    problems = [*unknown_keys(raw, schema), *serve_values(raw, schema)] if schema else [_NO_RAY]
    for rule in _RULES:
        problems += rule(raw)
    # Ray's own validation stops early and has other messages, so it runs only if nothing else found an error.
    if schema and not any(problem.severity == "error" for problem in problems):
        problems += refused_by_serve(raw, schema)
    return problems
