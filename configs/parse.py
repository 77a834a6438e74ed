"""Turns mappings into the classes of schema.py. Every problem is told at once, in words that need no pydantic."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .problems import ConfigError, Keys, Problem, where
from .schema import IMPORT_PATH, ModelConfig, RootConfig, Tunables
from .suggest import advise
from .walk import field_at, known_at

T = TypeVar("T", bound=BaseModel)


def parse_model(args: Mapping[str, Any], label: str = "args") -> ModelConfig:
    """Return an application's `args`; `label` says in errors whose they are."""
    return _parse(ModelConfig, args, label)


def parse_tunables(user_config: Mapping[str, Any] | None, label: str = "user_config") -> Tunables:
    """Return an application's `user_config`; none at all means the defaults."""
    return _parse(Tunables, user_config or {}, label)


def parse_root(args: Mapping[str, Any] | None, label: str = "args") -> RootConfig:
    """Return the root application's `args`."""
    return _parse(RootConfig, args or {}, label)


def problems_in(model: type[BaseModel], data: object, raw: object, base: Keys = ()) -> list[Problem]:
    """Return what keeps `data`, found at `base` in `raw`, from being a `model`."""
    try:
        model.model_validate(data)
    except ValidationError as error:
        found = [dict(each) for each in error.errors(include_url=False)]
        return [_problem(model, each, raw, base) for each in found if not _follows(each, found)]
    return []


def _parse(model: type[T], data: object, label: str) -> T:
    found = problems_in(model, data, data)
    if found:
        raise ConfigError("\n".join(problem.text(label) for problem in found), found)
    return model.model_validate(data)


def _follows(error: dict[str, Any], errors: list[dict[str, Any]]) -> bool:
    """Whether a list counts as too short only because its items failed, which is told already."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(
        len(e["loc"]) > len(loc) and e["loc"][: len(loc)] == loc for e in errors
    )


def _problem(model: type[BaseModel], error: dict[str, Any], raw: object, base: Keys) -> Problem:
    keys: Keys = error["loc"]
    path = base + keys
    if error["type"] == "extra_forbidden":
        return Problem(path, where(raw, path), "unknown key", advise(keys[-1], known_at(model, keys[:-1])))
    field = field_at(model, keys)
    hint = field.description if field and field.description else "configs/schema.py says what is allowed here"
    if error["type"] == "missing":
        return Problem(path, where(raw, path), "is missing", f"add {keys[-1]}: {_lower(hint)}")
    return Problem(path, where(raw, path), _what(error), _help(error, hint))


def _what(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":
        return message
    if error["type"] == "string_pattern_mismatch":
        message = f"should match {error['ctx']['pattern']}"
        if error["ctx"]["pattern"] == IMPORT_PATH:
            message = "should be package.module:name, with the name of a class or a function"
    return f"{message[0].lower()}{message[1:]}; got {_short(error['input'])}"


def _help(error: dict[str, Any], hint: str) -> str:
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == IMPORT_PATH:
        return "for a method, as of X.from_pretrained, name a function of yours that calls it"
    if error["type"] == "literal_error":
        return advise(error["input"], re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    if error["type"] == "string_type" and isinstance(error["input"], int | float):
        return f'put it in quotes, or YAML makes a number of it: "{error["input"]}"'
    return "change it as said; configs/schema.py holds the rule" if error["type"] == "value_error" else hint


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
