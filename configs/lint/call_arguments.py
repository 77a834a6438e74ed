"""Checks from its source whether a callable takes the arguments that a config gives it. Nothing is imported.

Reports nothing if the source does not say: decorators, bases from other files, `from x import *`, and names that are
defined, imported or assigned twice, or whose attributes are assigned.
"""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..suggest import advise

# Bases whose own __init__ takes nothing by name.
_BARE = {"torch.nn.Module", "torch.nn.modules.Module", "torch.nn.modules.module.Module"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments that may be given by name, those that must be, and whether any other name is accepted."""

    known: tuple[str, ...]
    required: tuple[str, ...]
    any_name: bool


def wrong_arguments(body: list[ast.stmt], name: str, given: Collection[str]) -> Iterator[tuple[str | None, str, str]]:
    """Yield the argument that is wrong, or None for one that is missing; what is wrong; and what to do."""
    signature = signature_of(body, name)
    if signature is None:
        return
    for key in given if not signature.any_name else ():
        if key not in signature.known:
            help_ = advise(key, signature.known) if signature.known else "remove it"
            yield key, f"{name} takes no argument {key!r}", help_
    for key in signature.required:
        if key not in given:
            yield None, f"{name} needs an argument {key!r}", f"add `{key}: …` to source.kwargs"


def has_method(body: list[ast.stmt], name: str, methods: Collection[str]) -> bool:
    """Whether a class has one of these methods; also where its source does not say, or only mentions one."""
    found = _only(body, name)
    if not isinstance(found, ast.ClassDef) or found.bases or found.decorator_list or found.keywords:
        return True
    words = (getattr(node, key, None) for node in ast.walk(found) for key in ("name", "attr", "id", "value"))
    return any(word in (*methods, "setattr", "__getattr__", "__dict__") for word in words if isinstance(word, str))


def signature_of(body: list[ast.stmt], name: str) -> Signature | None:
    """Return what a call of this name in a module takes, or None if its source does not say."""
    found = _only(body, name)
    if isinstance(found, ast.FunctionDef):
        return None if found.decorator_list else _of(found, skip=0)
    return _of_class(body, found, set()) if isinstance(found, ast.ClassDef) else None


def _of_class(body: list[ast.stmt], found: ast.ClassDef, seen: set[str]) -> Signature | None:
    """Follow `__init__` up through bases of the same file."""
    if found.decorator_list or found.keywords or found.name in seen or _definitions(found.body, "__new__"):
        return None
    written = [each for each in ast.walk(found) if isinstance(each, _Function) and each.name == "__init__"]
    init = _only(found.body, "__init__")
    if init is not None or written:
        plain = isinstance(init, ast.FunctionDef) and not init.decorator_list
        return _of(init, skip=1) if plain and isinstance(init, ast.FunctionDef) else None
    bases = [ast.unparse(base) for base in found.bases]
    if len(bases) > 1:
        return None
    above = _only(body, bases[0]) if bases else None
    if isinstance(above, ast.ClassDef):
        return _of_class(body, above, seen | {found.name})
    return Signature((), (), any_name=False) if not bases or _is_bare(body, bases[0]) else None


def _is_bare(body: list[ast.stmt], base: str) -> bool:
    """Whether a base is `object`, or torch's Module by an import that says so."""
    head, dot, rest = base.partition(".")
    found = _definitions(body, head)
    if not found:
        return base == "object"
    full = {_imported(node, head) for node in found}
    return len(full) == 1 and f"{full.pop()}{dot}{rest}" in _BARE


def _imported(node: ast.stmt, name: str) -> str | None:
    """Return what a name stands for after an import; None for any other statement."""
    for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
        if name == (alias.asname or alias.name):
            return f"{'.' * node.level}{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        if isinstance(node, ast.Import) and alias.asname is None and name == alias.name.partition(".")[0]:
            return name
    return None


def _only(body: list[ast.stmt], name: str) -> ast.stmt | None:
    """Return the only statement that defines a name; None if there is none, or several."""
    found = _definitions(body, name)
    return found[0] if len(found) == 1 else None


def _definitions(body: list[ast.stmt], name: str) -> list[ast.stmt]:
    return [node for node in body if {name, "*"} & _defined(node)]


def _defined(node: ast.stmt) -> set[str]:
    """Return the names that a statement gives a value, and those whose attributes it sets."""
    if isinstance(node, ast.ClassDef | _Function):
        return {node.name}
    found: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store | ast.Del):
            found.add(each.id)
        elif isinstance(each, ast.ClassDef | _Function):
            found.add(each.name)
        elif isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store) and isinstance(each.value, ast.Name):
            found.add(each.value.id)
        elif isinstance(each, ast.alias):
            found.add(each.asname or each.name.partition(".")[0])
    return found


def _of(function: ast.FunctionDef, skip: int) -> Signature:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    needed = positional[: len(positional) - len(given.defaults)]
    by_name = [each.arg for each in positional[skip:] if each not in given.posonlyargs]
    only = [each.arg for each in given.kwonlyargs]
    required = [each.arg for each in needed[skip:]]
    required += [each.arg for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None]
    return Signature((*by_name, *only), tuple(required), any_name=given.kwarg is not None)
