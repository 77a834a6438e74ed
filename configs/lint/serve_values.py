"""Checks the values of Serve's own keys against their types: Ray takes `true` for 1, "8000" for 8000, and .inf.

Ray does not read an autoscaling_config until the deployment starts; this module does.
"""

import math
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..corrected import corrected
from ..key_paths import entries, models_in
from ..parse import AS_YAML
from ..problems import Keys, Problem, where

_NUMBERS = frozenset({int, float})


def serve_values(raw: Mapping[str, Any], schema: type[BaseModel]) -> Iterator[Problem]:
    """Yield the values of Serve's keys that have the wrong type or are not finite."""
    for path, known, value in entries(raw, schema):
        field = known.get(str(path[-1]))
        if field is None:
            continue
        allowed = frozenset(get_origin(each) or each for each in _types(field.annotation))
        wrong = _wrong(allowed, value, path)
        if wrong:
            yield Problem(path, where(raw, path), *wrong)
        elif isinstance(value, Mapping) and dict in allowed:
            yield from _unread(raw, path, value, list(models_in(field.annotation)))


def _wrong(allowed: frozenset[object], value: object, path: Keys) -> tuple[str, str] | None:
    needs_number = bool(allowed & _NUMBERS)
    if isinstance(value, float) and needs_number and not math.isfinite(value):
        return f"is {value}, but must be a finite number", "write a number"
    if type(value) in allowed or not isinstance(value, bool | int | float | str):
        return None
    if needs_number and isinstance(value, bool | str):
        kind = "float_type"
    elif isinstance(value, float) and int in allowed and float not in allowed:
        kind = "int_type"
    elif allowed <= {bool, types.NoneType} and bool in allowed:
        kind = "bool_type"
    else:
        return None
    what = {"float_type": "a number", "int_type": "a whole number", "bool_type": "true or false"}[kind]
    line = corrected("int_type" if float not in allowed and int in allowed else kind, path[-1:], value)
    help_ = f"write `{line}`" if line else AS_YAML.get((kind, type(value)), f"write {what}")
    return f"is {value!r}, but must be {what}", help_


def _unread(raw: object, path: Keys, value: Mapping[str, Any], classes: list[type[BaseModel]]) -> Iterator[Problem]:
    """Yield the class's errors for a mapping that Ray's schema does not check."""
    for each in classes:
        try:
            each.model_validate(dict(value))
        except ValidationError as error:
            yield from refused(raw, path, error)
        except (ImportError, AttributeError):
            continue  # It imports what a policy names; Ray's own validation reports that.


def refused(raw: object, path: Keys, error: ValidationError) -> list[Problem]:
    """Return what Ray's class says of the value under a key path."""
    help_ = "Ray Serve itself would refuse this value: correct it"
    places = [((*path, *each["loc"]), each["msg"].removeprefix("Value error, ")) for each in error.errors()]
    return [Problem(at, where(raw, at), what, help_) for at, what in places]


def _types(annotation: Any) -> Iterator[object]:
    """Yield the plain types that an annotation allows."""
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _types(part)
    elif get_origin(annotation) is Annotated:
        yield from _types(get_args(annotation)[0])
    else:
        yield annotation
