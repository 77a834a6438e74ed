"""Reads a Serve config file into its models, and checks one without starting anything.

`load` returns the models and raises if they cannot be read; `check` lists every problem, of Serve's own keys too.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .document import Document, read
from .lint.applications import INGRESS, MODEL, ROOT
from .lint.lint import lint
from .parse import parse_model, parse_root, parse_tunables, problems_in
from .problems import ConfigError, Keys, Problem, child, items, mapping, where
from .schema import ModelConfig, RootConfig, Tunables

__all__ = ["ConfigError", "Deployment", "ModelApp", "check", "load", "parse_model", "parse_root", "parse_tunables"]


@dataclass(frozen=True, slots=True)
class ModelApp:
    """One model of the file. `replicas` is the deployment's own mapping: num_replicas, autoscaling_config, …"""

    name: str
    route_prefix: str | None
    config: ModelConfig
    tunables: Tunables
    replicas: Mapping[str, Any]
    env_vars: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        """Return the variables of its replicas, with ${NAME} replaced as Ray does it."""
        return {
            name: re.sub(r"\$\{[A-Z0-9_]+\}", "", os.path.expandvars(value)) for name, value in self.env_vars.items()
        }


@dataclass(frozen=True, slots=True)
class Deployment:
    """A whole file. `raw` is what Serve reads."""

    path: Path
    models: tuple[ModelApp, ...]
    raw: Mapping[str, Any]


def load(path: str | Path) -> Deployment:
    """Return the models of a file; raise one ConfigError with every problem of its args and user_configs."""
    document = read(path)
    found = _schema_problems(document.raw)
    if found:
        raise ConfigError("\n".join(document.text(problem) for problem in found), found)
    return _deployment(document)


def check(path: str | Path) -> tuple[Deployment | None, list[tuple[str, Problem]]]:
    """Return the file's models, or None if they cannot be read, and its problems, each with its `file:line`."""
    document = read(path)
    broken = _schema_problems(document.raw)
    found = {(*problem.keys, problem.what): problem for problem in [*broken, *document.surprises, *lint(document.raw)]}
    placed = [(document.place(problem.keys), problem) for problem in found.values()]
    return None if broken else _deployment(document), placed


def _deployment(document: Document) -> Deployment:
    apps = (app for _, app in items(document.raw, "applications") if app.get("import_path") == MODEL)
    return Deployment(document.path, tuple(_model_app(app) for app in apps), document.raw)


def _model_app(app: Mapping[str, Any]) -> ModelApp:
    config = ModelConfig.model_validate(app.get("args"))
    listed = [each for _, each in items(app, "deployments") if each.get("name") != INGRESS]
    deployment = listed[0] if listed else {}
    replicas = {key: value for key, value in deployment.items() if key != "user_config"}
    tunables = parse_tunables(mapping(deployment, "user_config"))
    variables = {
        name: value for name, value in mapping(app, "runtime_env", "env_vars").items() if isinstance(value, str)
    }
    name = str(app.get("name", config.name))
    return ModelApp(name, app.get("route_prefix"), config, tunables, replicas, variables)


def _schema_problems(raw: Mapping[str, Any]) -> list[Problem]:
    apps = raw.get("applications")
    if not isinstance(apps, list) or not apps:
        return [
            Problem(("applications",), "applications", "must list at least one application", "see serve_config.yaml")
        ]
    found: list[Problem] = []
    for index, app in enumerate(apps):
        keys: Keys = ("applications", index)
        if not isinstance(app, Mapping):
            found.append(Problem(keys, where(raw, keys), f"must be a mapping; got {app!r}", "begin with `- name:`"))
        elif app.get("import_path") == MODEL:
            found += problems_in(ModelConfig, app.get("args") or {}, raw, (*keys, "args"))
            found += _tunable_problems(raw, app, keys)
        elif app.get("import_path") == ROOT:
            found += problems_in(RootConfig, app.get("args") or {}, raw, (*keys, "args"))
    return found


def _tunable_problems(raw: object, app: Mapping[str, Any], keys: Keys) -> list[Problem]:
    found: list[Problem] = []
    for index, deployment in items(app, "deployments"):
        data = child(deployment, "user_config")
        if data is not None:
            found += problems_in(Tunables, data, raw, (*keys, "deployments", index, "user_config"))
    return found
