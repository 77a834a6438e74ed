"""Follows a key path through pydantic classes: ours, and those of Ray Serve."""

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .problems import Keys

_OPEN = (Union, types.UnionType, Annotated, list, tuple, Sequence)
# What ray.runtime_env accepts from users; its class keeps no schema to read them from.
RUNTIME_ENV = (
    *("env_vars", "working_dir", "py_modules", "excludes", "pip", "uv", "conda", "image_uri", "container"),
    *("config", "py_executable", "java_jars", "worker_process_setup_hook"),
)
Entry = tuple[Keys, Mapping[str, FieldInfo | None], object]


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the pydantic classes that a value or its list items may have. The content of a dict is not checked."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in _OPEN:
        for part in get_args(annotation):
            yield from models_in(part)


def fields(models: Sequence[type[BaseModel]]) -> dict[str, FieldInfo]:
    """Return the keys that a value of these classes may have."""
    return {field.alias or name: field for model in models for name, field in model.model_fields.items()}


def entries(raw: object, schema: type[BaseModel]) -> Iterator[Entry]:
    """Yield every key of these classes in the data: its path, the keys known at that place, its value."""
    yield from _entries(raw, fields([schema]), ())


def _entries(value: object, known: Mapping[str, FieldInfo | None], path: Keys) -> Iterator[Entry]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _entries(item, known, (*path, index))
    if not isinstance(value, Mapping) or not known:
        return
    for key, inner in value.items():
        yield (*path, key), known, inner
        field = known.get(key)
        if field is not None:
            yield from _entries(inner, below(key, field), (*path, key))


def below(key: str, field: FieldInfo) -> Mapping[str, FieldInfo | None]:
    """Return the keys that a field's own mapping may have; none if any key is allowed."""
    return dict.fromkeys(RUNTIME_ENV) if key == "runtime_env" else fields(list(models_in(field.annotation)))


def field_at(model: type[BaseModel], keys: Keys) -> FieldInfo | None:
    """Return the field that a key path ends at, or None if the path leaves the classes."""
    return _at(model, keys)[0]


def known_at(model: type[BaseModel], keys: Keys) -> list[str]:
    """Return the keys allowed in the mapping at a key path."""
    return list(fields(_at(model, keys)[1]))


def _at(model: type[BaseModel], keys: Keys) -> tuple[FieldInfo | None, list[type[BaseModel]]]:
    """Return the field that a key path ends at, or leads through to a name of the user's, and the classes below it."""
    models, field, by_name = [model], None, list[type[BaseModel]]()
    for key in keys:
        if isinstance(key, int):
            continue
        if by_name:
            models, by_name = by_name, []
            continue
        field = fields(models).get(key)
        models = list(models_in(field.annotation)) if field else []
        by_name = list(_in_dict(field.annotation)) if field else []
    return field, models


def _in_dict(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the classes of a dict's values, as those of `dims`."""
    if get_origin(annotation) is dict:
        yield from models_in(get_args(annotation)[1])
