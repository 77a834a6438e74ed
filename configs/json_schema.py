"""Writes configs/schema.json, by which editors complete and check a config: python -m configs.json_schema.

It has Serve's keys from the installed Ray and ours from schema.py, in draft 7, which editors read. It refuses wrong
keys and types; the rules between keys are left to `pitstop check`. A test compares the file with the classes.
"""

import json
import logging
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from .key_paths import RUNTIME_ENV
from .key_places import serve_schema
from .lint.applications import INGRESS, MODEL, ROOT
from .schema import ModelConfig, RootConfig, Tunables

FILE = Path(__file__).with_name("schema.json")
Schema = dict[str, Any]
_PLACE = "#/definitions/"
_FREE: Schema = {"type": "object", "additionalProperties": True}
_LEVELS = [name for name, level in logging.getLevelNamesMapping().items() if level]


def text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """Return the JSON Schema of a whole config. It needs Ray, for Serve's keys."""
    serve = serve_schema()
    if serve is None:
        raise ImportError("the schema has Serve's keys\nhelp: pip install 'ray[serve]'")
    config, definitions = _read(serve)
    for ours in (ModelConfig, RootConfig, Tunables):
        definitions[ours.__name__], below = _read(ours)
        definitions |= below
    _narrow(config, definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A Ray Serve config of pitstop",
        "description": "Written by `python -m configs.json_schema`.",
        **config,
        "definitions": {name: _closed(each) for name, each in sorted(definitions.items())},
    }


def _read(model: type[BaseModel]) -> tuple[Schema, dict[str, Schema]]:
    """Return what pydantic says of a class, and of the classes in it."""
    found = _plain(model.model_json_schema(ref_template=_PLACE + "{model}"))
    below = found.pop("$defs", {})
    return _closed(found), below


def _plain(node: Any) -> Any:
    """Leave out what nobody reads in an editor, and Ray's second, free form of a mapping that has a class."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    found: Schema = {key: _plain(value) for key, value in node.items() if not _left_out(key, value)}
    kinds = found.get("anyOf", [])
    if any("$ref" in each for each in kinds):
        found["anyOf"] = [each for each in kinds if each != _FREE]
    if isinstance(about := found.get("description"), str):
        found["description"] = " ".join(about.partition("\n\n")[0].split())
    return found


def _left_out(key: str, value: object) -> bool:
    # Null, [] and {} mean that nothing is given, which the description tells.
    return (key == "title" and isinstance(value, str)) or (key == "default" and value in (None, [], {}))


def _closed(found: Schema) -> Schema:
    """Refuse unknown keys, which Ray would drop."""
    return {**found, "additionalProperties": False} if "properties" in found else found


def _narrow(config: Schema, definitions: dict[str, Schema]) -> None:
    """Say what Ray's classes say only in their code, and what `args` and `user_config` hold."""
    keys = {name: each.get("properties", {}) for name, each in definitions.items()}
    application, deployment = keys["ServeApplicationSchema"], keys["DeploymentSchema"]
    for each in deployment.values():
        each.pop("default", None)  # What Ray's class has there stands for "not given".
    _narrow_kind(deployment["num_replicas"], {"const": "auto"})
    _narrow_kind(keys["LoggingConfig"]["log_level"], {"enum": _LEVELS})
    _narrow_kind(keys["LoggingConfig"]["encoding"], None)
    del definitions["AggregationFunction"]["description"]
    definitions["RuntimeEnv"] = _closed({"type": "object", "properties": _RUNTIME_ENV})
    for name in ("ControllerOptions", "RayActorOptionsSchema", "ServeApplicationSchema"):
        about = keys[name]["runtime_env"]["description"]
        keys[name]["runtime_env"] = {**_RUNTIME_ENV_OF.get(name, _ref("RuntimeEnv")), "description": about}
    application["import_path"]["anyOf"] = [
        {"enum": [MODEL, ROOT]},
        {"type": "string", "pattern": r"^(?!deployments\.)"},
    ]
    model = {"args": _ref("ModelConfig"), "deployments": _deployments(["Model", INGRESS], _TUNABLES)}
    root = {"args": _ref("RootConfig"), "deployments": _deployments(["Root"], {})}
    definitions["ServeApplicationSchema"]["allOf"] = [_where(MODEL, model, ["args"]), _where(ROOT, root, [])]
    config["properties"]["applications"]["minItems"] = 1


def _narrow_kind(described: Schema, text: Schema | None) -> None:
    """Put `text` in place of "any text" among the kinds of a value."""
    others = [each for each in described["anyOf"] if each.get("type") != "string"]
    described["anyOf"] = [*others, *([text] if text else [])]


def _where(import_path: str, properties: Schema, required: list[str]) -> Schema:
    named = {"properties": {"import_path": {"const": import_path}}, "required": ["import_path"]}
    return {"if": named, "then": {"properties": properties, "required": required}}


def _deployments(names: list[str], properties: Schema) -> Schema:
    return {"items": {"properties": {"name": {"enum": names}, **properties}}}


def _ref(name: str) -> Schema:
    return {"$ref": _PLACE + name}


def _or_null(described: Schema) -> Schema:
    return {"anyOf": [described, {"type": "null"}]}


_VARIABLES: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_RUNTIME_ENV: Schema = {key: _VARIABLES if key == "env_vars" else {} for key in RUNTIME_ENV}
_RUNTIME_ENV_OF = {"ControllerOptions": _or_null(_ref("RuntimeEnv"))}
_TUNABLES: Schema = {"user_config": _or_null(_ref("Tunables"))}


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
