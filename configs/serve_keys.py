"""Lints a Serve config: Ray drops a misspelt key in silence, so here every key is held against Ray's own classes.

The known keys come from the Ray that is installed, so this file cannot go stale. Project rules are in rules.py.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from .access_rules import access_rules
from .autoscaling_rules import autoscaling_rules
from .canary_rules import canary_rules
from .environment import environment
from .grpc_rules import grpc_rules
from .ingress_rules import ingress_rules
from .problems import Keys, Problem, where
from .references import references
from .rules import rules
from .suggest import advise
from .walk import fields, models_in

# What ray.runtime_env accepts from users; its class keeps no schema to read them from.
_RUNTIME_ENV = [
    *("env_vars", "working_dir", "py_modules", "excludes", "pip", "uv", "conda", "image_uri", "container"),
    *("config", "py_executable", "java_jars", "worker_process_setup_hook"),
]


def lint(raw: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with a Serve config beyond the args and user_configs of its models."""
    schema = _serve_schema()
    found = list(_unknown(raw, raw, [schema], ())) if schema else [_NO_RAY]
    parts: tuple[Callable[[Mapping[str, Any]], Iterator[Problem]], ...] = (
        rules,
        grpc_rules,
        access_rules,
        autoscaling_rules,
        canary_rules,
        ingress_rules,
        environment,
        references,
    )
    for part in parts:
        found += part(raw)
    # Ray's own validation stops early and words things its own way: it speaks only where nothing else did.
    if schema and not any(problem.severity == "error" for problem in found):
        found += _refused(raw, schema)
    return found


_NO_RAY = Problem(
    (), "", "Ray Serve is not installed, so its keys went unchecked", "pip install 'ray[serve]'", "warning"
)


def _serve_schema() -> type[BaseModel] | None:
    try:
        from ray.serve.schema import ServeDeploySchema
    except ImportError:
        return None
    schema: type[BaseModel] = ServeDeploySchema
    return schema


def _unknown(raw: object, value: object, models: list[type[BaseModel]], keys: Keys) -> Iterator[Problem]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(raw, item, models, (*keys, index))
    if not isinstance(value, Mapping) or not models:
        return
    known = fields(models)
    for key, inner in value.items():
        path = (*keys, key)
        if key not in known:
            yield Problem(path, where(raw, path), "Serve knows no such key, and would drop it", advise(key, known))
        elif key == "runtime_env":
            yield from _unknown_runtime_env(raw, inner, path)
        else:
            yield from _unknown(raw, inner, list(models_in(known[key].annotation)), path)


def _unknown_runtime_env(raw: object, value: object, keys: Keys) -> Iterator[Problem]:
    for key in value if isinstance(value, Mapping) else ():
        if key not in _RUNTIME_ENV:
            path = (*keys, key)
            yield Problem(path, where(raw, path), "a runtime_env knows no such key", advise(key, _RUNTIME_ENV))


def _refused(raw: Mapping[str, Any], schema: type[BaseModel]) -> Iterator[Problem]:
    try:
        schema.model_validate(copy.deepcopy(dict(raw)))
    except ValidationError as error:
        for found in error.errors(include_url=False):
            path = tuple(found["loc"])
            what = found["msg"].removeprefix("Value error, ")
            yield Problem(path, where(raw, path), what, "Ray Serve itself would refuse this value: correct it")
    except (ImportError, AttributeError) as error:  # Serve imports the policies and routers that a file names.
        what = f"names what cannot be imported: {error}"
        yield Problem(("applications",), "applications", what, "correct the import path, or install its package")
