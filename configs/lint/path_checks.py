"""Checks that the files and callables that a config names exist: weights on disk, callables in their modules."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..code_files import local, names_code, no_such_file, split
from ..problems import Keys, Problem, items, mapping, value_at, where
from .applications import MODEL
from .call_arguments import has_method, wrong_arguments
from .callables import body_of, missing_callable

# The keys of a model's args that name a file, and those that name a callable.
_SOURCES: tuple[Keys, ...] = (("source", "weights"), ("source", "torchscript"), ("source", "exported_program"))
FILES: tuple[Keys, ...] = (*_SOURCES, ("accept", "accuracy", "data"))
_CALLED_BARE: tuple[Keys, ...] = (("preprocess",), ("postprocess",), ("handler",))
_PREDICT: tuple[Keys, ...] = (("predict", "decode"), ("predict", "encode"))
# A backend that is no function of the user's own names no code, as `auto` and `torchscript`.
CALLABLES: tuple[Keys, ...] = (("source", "factory"), *_CALLED_BARE, *_PREDICT, ("backend",))


def path_rules(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield every file and callable that a model names and that does not exist."""
    for index, app in items(raw, "applications"):
        if app.get("import_path") != MODEL:
            continue
        for keys, look in [*((keys, _file) for keys in FILES), *((keys, missing_callable) for keys in CALLABLES)]:
            path: Keys = ("applications", index, "args", *keys)
            value = value_at(raw, path)
            wrong = look(value) if isinstance(value, str) else None
            if wrong:
                yield Problem(path, where(raw, path), *wrong)
        yield from _examples(raw, ("applications", index, "args", "example"))
        yield from _arguments(raw, ("applications", index, "args"))
        yield from _methods(raw, ("applications", index, "args", "handler"))
        yield from _checksum(raw, ("applications", index, "args", "source"))


def hidden_packages(_: Mapping[str, Any]) -> Iterator[Problem]:
    """Warn of packages of the user's in the working directory that hide ours from a `serve run` there."""
    here = Path.cwd()
    if (here / "deployments" / "app.py").is_file():  # The project's root, or a copy of it.
        return
    for name in ("configs", "models", "deployments"):
        if (here / name / "__init__.py").is_file():
            what = f"{here / name}: the name {name!r} is taken by a package of pitstop itself, which `serve run` needs"
            yield Problem((), "", what, "start `serve run` in the project's root, or rename yours", "warning")


def _examples(raw: object, keys: Keys) -> Iterator[Problem]:
    given = value_at(raw, keys)
    for number, each in enumerate(given) if isinstance(given, list) else [(None, given)]:
        path = keys if number is None else (*keys, number)
        wrong = (missing_callable if names_code(each) else _file)(each) if isinstance(each, str) else None
        if wrong:
            yield Problem(path, where(raw, path), *wrong)


def _arguments(raw: object, args: Keys) -> Iterator[Problem]:
    """Yield wrong and missing arguments of a factory, and a hook's factory or class that needs arguments."""
    kwargs = (*args, "source", "kwargs")
    bare: list[tuple[Keys, Mapping[str, Any]]] = [((*args, *keys), {}) for keys in _CALLED_BARE]
    for keys, given in (((*args, "source", "factory"), mapping(raw, *kwargs)), *bare):
        place, name = split(str(value_at(raw, keys)))
        body = body_of(place) if name else None
        for key, what, help_ in wrong_arguments(body, name, given) if isinstance(body, list) else ():
            if keys[-1] != "factory":
                said = f"{what}, but {keys[-1]} is called without arguments"
                yield Problem(keys, where(raw, keys), said, "give it a default")
            else:
                at = kwargs if key is None else (*kwargs, key)
                yield Problem(at, where(raw, at), what, help_)


def _methods(raw: object, keys: Keys) -> Iterator[Problem]:
    """Yield a handler's class without any method that would be called."""
    place, name = split(str(value_at(raw, keys)))
    body = body_of(place) if name else None
    if isinstance(body, list) and not has_method(body, name, ("preprocess", "postprocess")):
        what = f"{name} has neither preprocess nor postprocess"
        yield Problem(keys, where(raw, keys), what, "give the class one of these methods, or both")


def _checksum(raw: object, keys: Keys) -> Iterator[Problem]:
    source, at = mapping(raw, *keys), (*keys, "sha256")
    location = next((source[key] for key in ("weights", "torchscript", "exported_program") if source.get(key)), None)
    path = local(location) if isinstance(location, str) else None
    if path is None or not isinstance(source.get("sha256"), str):
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != source["sha256"]:
        what = f"is {source['sha256']}, but that of {location} is {found}"
        yield Problem(at, where(raw, at), what, "restore the file, or write its own sha256 here if you trust it")


def _file(location: str) -> tuple[str, str] | None:
    if "://" in location or local(location) is not None:
        return None
    return no_such_file(location)
