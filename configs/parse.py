"""Turns mappings into the classes of schema.py. Reports all problems at once, without pydantic's terms."""

import datetime
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .corrected import corrected
from .key_paths import field_at, known_at
from .key_places import advise_key_of
from .open_sizes import OPEN_SIZE
from .problems import ConfigError, Keys, Problem, value_at, where
from .renamed_keys import renamed
from .schema import ModelConfig, RootConfig, Tunables
from .suggest import advise

_BOOL_FOR_NUMBER = "write a number: YAML reads yes, no, on and off as true and false"
_TEXT_FOR_NUMBER = "write a number without quotes, and 1000 or 1.0e+3 for 1e3, which YAML reads as text"
# What to do about a value of another type, by pydantic's name for the error and the type found.
AS_YAML: dict[tuple[str, type], str] = {
    ("int_type", bool): _BOOL_FOR_NUMBER,
    ("float_type", bool): _BOOL_FOR_NUMBER,
    ("int_type", str): _TEXT_FOR_NUMBER,
    ("float_type", str): _TEXT_FOR_NUMBER,
    ("int_type", float): "write a whole number, without a point",
    ("bool_type", str): "write true or false, without quotes",
    ("bool_type", int): "write true or false",
}
# What to add where nothing is, by its key, if the field's description is no advice.
_MISSING = {
    "inputs": "list them, as inputs: [{name: x, datatype: FP32, shape: [batch, 3]}], or name an example: a file of "
    "real inputs, in which they are found"
}
# Errors of the schema's own rules, whose text is the whole sentence.
_OWN = ("value_error", OPEN_SIZE)
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
    """Return the problems of `data`, at `base` in `raw`, as a `model`."""
    try:
        model.model_validate(data)
    except ValidationError as error:
        found = [dict(each) for each in error.errors(include_url=False)]
        return [_problem(model, each, raw, base) for each in found if not _follows(each, found)]
    return []


def first_rule_broken(error: ValidationError) -> str:
    """Return the sentence of the first of the schema's own rules that was broken, without its help."""
    return str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ").partition("\nhelp: ")[0]


def _parse(model: type[T], data: object, label: str) -> T:
    found = problems_in(model, data, data)
    if found:
        raise ConfigError("\n".join(problem.text(label) for problem in found), found)
    return model.model_validate(data)


def _follows(error: dict[str, Any], errors: list[dict[str, Any]]) -> bool:
    """Whether a list is too short only because its items failed, which is already reported."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(
        len(e["loc"]) > len(loc) and e["loc"][: len(loc)] == loc for e in errors
    )


def _problem(model: type[BaseModel], error: dict[str, Any], raw: object, base: Keys) -> Problem:
    keys: Keys = error["loc"]
    path = base + keys
    if error["type"] == "extra_forbidden" and (told := renamed(keys)):
        return Problem(path, where(raw, path), *told)
    if error["type"] == "extra_forbidden":
        help_ = advise_key_of(keys[-1], known_at(model, keys[:-1]), model, keys[:-1])
        return Problem(path, where(raw, path), "unknown key", help_)
    if error["type"] == "invalid_key":
        what = f"YAML reads this key as {error['input']!r}"
        return Problem(path[:-1], where(raw, path[:-1]), what, "put the key in quotes")
    field = field_at(model, keys)
    hint = field.description if field and field.description else "see configs/schema.py for what is allowed here"
    if error["type"] == "missing":
        advice = _MISSING.get(str(keys[-1]), f"add {keys[-1]}: {_lower(hint)}")
        return Problem(path, where(raw, path), "is missing", advice)
    if error["type"] == "model_type":
        advice = f"write a mapping of the keys {', '.join(known_at(model, keys))}"
        return Problem(path, where(raw, path), f"has keys of its own; got {_short(error['input'])}", advice)
    line = corrected(error["type"], keys, error["input"], value_at(raw, path[:-1]))
    help_ = f"write `{line}`" if line else _help(error, hint)
    return Problem(path, where(raw, path), _what(error), help_, kind=error["type"])


def _what(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in _OWN:
        return message.partition("\nhelp: ")[0]
    if error["type"] == "tuple_type":
        message = "should be a list"
    if error["type"] == "string_pattern_mismatch":
        message = f"should match {error['ctx']['pattern']}"
    return f"{message[0].lower()}{message[1:]}; got {_short(error['input'])}"


def _help(error: dict[str, Any], hint: str) -> str:
    kind, given = error["type"], error["input"]
    if kind == "literal_error":
        return advise(given, re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    if kind in _OWN:
        return (
            str(error["msg"]).partition("\nhelp: ")[2]
            or "change it as the message says; the rule is in configs/schema.py"
        )
    if kind == "string_type" and isinstance(given, int | float | datetime.date):
        made = (
            "true or false" if isinstance(given, bool) else "a number" if isinstance(given, int | float) else "a date"
        )
        return f'put it in quotes, so that YAML does not read {made}: "{given}"'
    return f"{AS_YAML[kind, type(given)]}. {hint}" if (kind, type(given)) in AS_YAML else hint


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
