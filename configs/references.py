"""Checks that what a config points at is there: weights on disk, callables in their modules.

Nothing is imported: a network may take seconds to import and run code; its source is parsed instead.
"""

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from .problems import Keys, Problem, child, items, where
from .rules import MODEL
from .suggest import advise

PROJECT = Path(__file__).resolve().parents[1]
_FILES: tuple[Keys, ...] = (("source", "weights"), ("source", "torchscript"), ("source", "export"))
_CALLABLES: tuple[Keys, ...] = (("source", "factory"), ("preprocess",), ("predict", "image"), ("predict", "answer"))


def references(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield every file and callable that a model names and that is not there."""
    for index, app in items(raw, "applications"):
        if app.get("import_path") != MODEL:
            continue
        for keys, look in [*((keys, _file) for keys in _FILES), *((keys, _callable) for keys in _CALLABLES)]:
            path: Keys = ("applications", index, "args", *keys)
            value = _at(raw, path)
            wrong = look(value) if isinstance(value, str) else None
            if wrong:
                yield Problem(path, where(raw, path), *wrong)


def _at(raw: object, keys: Keys) -> object:
    for key in keys:
        raw = child(raw, key)
    return raw


def _file(location: str) -> tuple[str, str] | None:
    if "://" in location or any(path.is_file() for path in (Path(location).expanduser(), PROJECT / location)):
        return None
    return f"{location}: no such file", "paths are taken from the working directory, then from the project's root"


def _callable(target: str) -> tuple[str, str] | None:
    module, _, name = target.partition(":")
    if not name:
        return None  # The schema has told already that it is no import path.
    spec = _find(module)
    if spec is None:
        return f"{target}: there is no module {module}", "check its spelling; a file in models/zoo/ is always found"
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        names = set(_names(ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body))
    except SyntaxError as error:
        return f"{target}: {module} has a syntax error on line {error.lineno}", f"correct {spec.origin}"
    if name in names or "*" in names or "__getattr__" in names:
        return None
    return f"{target}: {module} has no {name!r}", advise(name, [each for each in names if not each.startswith("_")])


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
