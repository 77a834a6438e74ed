"""Checks that a module or a file has the callable that a config names in it.

Nothing is imported, because that may take seconds and run code. The source is parsed instead.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from ..code_files import LOOKED_UP, clash, is_file, local, split
from ..suggest import advise
from .file_imports import failing_imports, find

Body = list[ast.stmt] | SyntaxError | OSError
Told = tuple[str, str] | None
# What stands for a module that is not written in Python.
_ANYTHING = ast.parse("from elsewhere import *").body


def missing_callable(target: str) -> Told:
    """Return what is wrong with `package.module:callable` or `path/to/file.py:callable`, and what to do; or None."""
    place, name = split(target)
    if is_file(place):
        return _missing_in_file(target, place, name)
    wrong = missing_in_module(target)
    told = clash(place, name) if wrong else None
    return (f"{wrong[0]}: {told[0]}", told[1]) if wrong and told else wrong


def missing_in_module(target: str) -> Told:
    """Return the problem of `package.module:callable` and what to do about it; None if it exists."""
    module, name = split(target)
    if not name:
        return None  # The schema reports that it is not an import path.
    body = body_of(module)
    if body is None:
        return f"{target}: there is no module {module}", "check its spelling; files in models/zoo/ are always found"
    return _missing(target, module, name, body)


def body_of(place: str) -> Body | None:
    """Return the statements of a module or a file, None if there is none."""
    if is_file(place):
        file = local(place)
        return None if file is None else _parsed(file)
    spec = find(place)
    if spec is None:
        return None
    return _parsed(Path(spec.origin)) if spec.origin is not None and spec.origin.endswith(".py") else _ANYTHING


def _missing_in_file(target: str, place: str, name: str) -> Told:
    file = local(place)
    if file is None:
        return f"{target}: no such file", LOOKED_UP
    body = _parsed(file)
    wrong = _missing(target, place, name, body)
    if wrong is None and isinstance(body, list):
        for line, what, help_ in failing_imports(body, file.resolve().parent):
            return f"{target}: {place}, line {line}: {what}", help_
    return wrong


def _missing(target: str, place: str, name: str, body: Body) -> Told:
    if isinstance(body, SyntaxError):
        return f"{target}: {place} has a syntax error on line {body.lineno}: {body.msg}", f"correct {body.filename}"
    if isinstance(body, OSError):
        return f"{target}: {place} cannot be read ({body.strerror})", "check its permissions"
    names = set(_names(body))
    if {name, "*", "__getattr__"} & names or (not names and not all(map(_is_text, body))):
        return None
    public = [each for each in names if not each.startswith("_")]
    return f"{target}: {place} has no {name!r}", advise(name, public) if public else "define it there"


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _parsed(file: Path) -> Body:
    try:
        return ast.parse(file.read_bytes(), str(file)).body
    except (SyntaxError, OSError) as error:
        return error


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
