"""Whether a callable takes the arguments that a config gives it, read from its source: nothing is imported.

Silent wherever the source does not say: decorators, bases from elsewhere, names that are assigned or defined twice.
"""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .suggest import advise

# Bases whose own __init__ takes nothing by name.
_BARE = {"object", "nn.Module", "torch.nn.Module", "Module"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Signature:
    """What may be given by name, what must be, and whether any other name is taken too."""

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
            yield None, f"{name} needs an argument {key!r}", f"write `{key}: …` into source.kwargs"


def signature_of(body: list[ast.stmt], name: str) -> Signature | None:
    """Return what a call of this name in a module takes, or None where its source does not say."""
    found = _only(body, name)
    if isinstance(found, ast.FunctionDef):
        return None if found.decorator_list else _of(found, skip=0)
    return _of_class(body, found, set()) if isinstance(found, ast.ClassDef) else None


def _of_class(body: list[ast.stmt], found: ast.ClassDef, seen: set[str]) -> Signature | None:
    """Follow `__init__` up through bases of the same file."""
    if found.decorator_list or found.keywords or found.name in seen or _only(found.body, "__new__"):
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
    return Signature((), (), any_name=False) if not bases or bases[0] in _BARE else None


def _only(body: list[ast.stmt], name: str) -> ast.stmt | None:
    """Return the one statement that defines a name; None where there is none, or several, or another kind."""
    found = [node for node in body if name in _defined(node)]
    return found[0] if len(found) == 1 else None


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)} | {
        inner.name for inner in ast.walk(node) if isinstance(inner, ast.ClassDef | _Function)
    }


def _of(function: ast.FunctionDef, skip: int) -> Signature:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    needed = positional[: len(positional) - len(given.defaults)]
    by_name = [each.arg for each in positional[skip:] if each not in given.posonlyargs]
    only = [each.arg for each in given.kwonlyargs]
    required = [each.arg for each in needed[skip:]]
    required += [each.arg for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None]
    return Signature((*by_name, *only), tuple(required), any_name=given.kwarg is not None)
