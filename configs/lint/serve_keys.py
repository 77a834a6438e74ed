"""Checks a Serve config. Ray drops a misspelt key without a message, so every key is compared with Ray's own classes.

The known keys come from the Ray that is installed, so this file cannot go stale. Project rules are in applications.py.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ..key_paths import entries
from ..key_places import advise_key, serve_schema
from ..problems import Keys, Problem, child, where
from .applications import rules
from .auth import auth_rules
from .autoscaling import autoscaling_rules
from .canary import canary_rules
from .environment import environment
from .grpc import grpc_rules
from .ingress import ingress_rules
from .path_checks import hidden_packages, references
from .ports import port_rules
from .serve_values import serve_values


def lint(raw: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with a Serve config beyond the args and user_configs of its models."""
    schema = serve_schema()
    found = [*_unknown(raw, schema), *serve_values(raw, schema)] if schema else [_NO_RAY]
    parts: tuple[Callable[[Mapping[str, Any]], Iterator[Problem]], ...] = (
        rules,
        grpc_rules,
        port_rules,
        auth_rules,
        autoscaling_rules,
        canary_rules,
        ingress_rules,
        environment,
        references,
        hidden_packages,
    )
    for part in parts:
        found += part(raw)
    # Ray's own validation stops early and has other messages, so it runs only if nothing else found an error.
    if schema and not any(problem.severity == "error" for problem in found):
        found += _refused(raw, schema)
    return found


_NO_RAY = Problem(
    (), "", "Ray Serve is not installed, so its keys were not checked", "pip install 'ray[serve]'", "warning"
)


def _unknown(raw: Mapping[str, Any], schema: type[BaseModel]) -> Iterator[Problem]:
    for path, known, _ in entries(raw, schema):
        *inside, key = path
        if key not in known:
            where_ = "a runtime_env" if "runtime_env" in inside else "Serve"
            what = f"{where_} has no such key" + (
                "" if "runtime_env" in inside else ", and would drop it without a message"
            )
            yield Problem(path, where(raw, path), what, advise_key(key, known, inside, _application(raw, path)))


def _application(raw: Mapping[str, Any], path: Keys) -> object:
    """Return the import_path of the application that a key path leads into, or None."""
    return child(child(child(raw, path[0]), path[1]), "import_path") if path[0] == "applications" else None


def _refused(raw: Mapping[str, Any], schema: type[BaseModel]) -> Iterator[Problem]:
    try:
        schema.model_validate(copy.deepcopy(dict(raw)))
    except ValidationError as error:
        for found in error.errors(include_url=False):
            path = tuple(found["loc"])
            what = found["msg"].removeprefix("Value error, ")
            yield Problem(path, where(raw, path), what, "Ray Serve itself would refuse this value: correct it")
    except (ImportError, AttributeError) as error:  # Serve imports the policies and routers that a file names.
        what = f"names something that cannot be imported: {error}"
        yield Problem(("applications",), "applications", what, "correct the import path, or install its package")
