"""Checks that the files and callables that a config names exist: weights on disk, callables in their modules.

Nothing is imported, because that may take seconds and run code. The source is parsed instead.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from ..problems import Keys, Problem, items, mapping, value_at, where
from ..suggest import advise
from .applications import MODEL
from .call_arguments import wrong_arguments

PROJECT = Path(__file__).resolve().parents[2]
_FILES: tuple[Keys, ...] = (("source", "weights"), ("source", "torchscript"), ("source", "exported_program"))
_CALLABLES: tuple[Keys, ...] = (("source", "factory"), ("preprocess",), ("predict", "decode"), ("predict", "encode"))


def references(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield every file and callable that a model names and that does not exist."""
    for index, app in items(raw, "applications"):
        if app.get("import_path") != MODEL:
            continue
        for keys, look in [*((keys, _file) for keys in _FILES), *((keys, missing_callable) for keys in _CALLABLES)]:
            path: Keys = ("applications", index, "args", *keys)
            value = value_at(raw, path)
            wrong = look(value) if isinstance(value, str) else None
            if wrong:
                yield Problem(path, where(raw, path), *wrong)
        yield from _examples(raw, ("applications", index, "args", "example"))
        yield from _arguments(raw, ("applications", index, "args"))
        yield from _checksum(raw, ("applications", index, "args", "source"))


def _examples(raw: object, keys: Keys) -> Iterator[Problem]:
    given = value_at(raw, keys)
    for number, each in enumerate(given) if isinstance(given, list) else [(None, given)]:
        path = keys if number is None else (*keys, number)
        is_callable = isinstance(each, str) and ":" in each and "://" not in each
        wrong = (missing_callable if is_callable else _file)(each) if isinstance(each, str) else None
        if wrong:
            yield Problem(path, where(raw, path), *wrong)


def _arguments(raw: object, args: Keys) -> Iterator[Problem]:
    """Yield wrong and missing arguments of a factory, and a preprocess that needs arguments."""
    kwargs = (*args, "source", "kwargs")
    for keys, given in (((*args, "source", "factory"), mapping(raw, *kwargs)), ((*args, "preprocess"), {})):
        module, _, name = str(value_at(raw, keys)).partition(":")
        body = _body(module) if name else None
        for key, what, help_ in wrong_arguments(body, name, given) if isinstance(body, list) else ():
            if keys[-1] == "preprocess":
                yield Problem(
                    keys, where(raw, keys), f"{what}, but preprocess is called without arguments", "give it a default"
                )
            else:
                at = kwargs if key is None else (*kwargs, key)
                yield Problem(at, where(raw, at), what, help_)


def _checksum(raw: object, keys: Keys) -> Iterator[Problem]:
    source, at = mapping(raw, *keys), (*keys, "sha256")
    location = next((source[key] for key in ("weights", "torchscript", "exported_program") if source.get(key)), None)
    path = _local(location) if isinstance(location, str) else None
    if path is None or not isinstance(source.get("sha256"), str):
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != source["sha256"]:
        what = f"is {source['sha256']}, but that of {location} is {found}"
        yield Problem(at, where(raw, at), what, "restore the file, or write its own sha256 here if you trust it")


def _file(location: str) -> tuple[str, str] | None:
    if "://" in location or _local(location) is not None:
        return None
    return f"{location}: no such file", "paths are looked up in the working directory, then in the project's root"


def _local(location: str) -> Path | None:
    return next((path for path in (Path(location).expanduser(), PROJECT / location) if path.is_file()), None)


def missing_callable(target: str) -> tuple[str, str] | None:
    """Return the problem of `package.module:callable` and what to do about it; None if it exists."""
    module, _, name = target.partition(":")
    if not name:
        return None  # The schema reports that it is not an import path.
    body = _body(module)
    if body is None:
        return f"{target}: there is no module {module}", "check its spelling; files in models/zoo/ are always found"
    if isinstance(body, SyntaxError):
        return f"{target}: {module} has a syntax error on line {body.lineno}", f"correct {body.filename}"
    names = set(_names(body))
    if not names or name in names or "*" in names or "__getattr__" in names:
        return None
    return f"{target}: {module} has no {name!r}", advise(name, [each for each in names if not each.startswith("_")])


def _body(module: str) -> list[ast.stmt] | SyntaxError | None:
    """Return a module's statements: empty if it is not written in Python, None if there is no such module."""
    spec = _find(module)
    if spec is None:
        return None
    if spec.origin is None or not spec.origin.endswith(".py"):
        return []
    try:
        return ast.parse(Path(spec.origin).read_bytes(), spec.origin).body
    except SyntaxError as error:
        return error


def _find(module: str) -> ModuleSpec | None:
    """Find a module as an import would, but import none of its parents."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", list(spec.submodule_search_locations))
    return spec


def _names(body: list[ast.stmt]) -> Iterator[str]:
    """Yield what a module defines at its top, also under `if` and `try`."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
        else:
            for field in ("body", "orelse", "finalbody"):
                yield from _names(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from _names(handler.body)
