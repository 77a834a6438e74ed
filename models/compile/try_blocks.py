"""Whether code that runs now would catch an error and go on: by `try`, by `with`, or in a `finally` that returns.

No recording of a run without the error shows the other way, and the error may come of the data.
"""

import ast
import inspect
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from .source_lines import of_the_network

# These tell of the program or the machine, not of the numbers in a tensor: transformers calls a layer again after a
# TypeError.
_OF_THE_PROGRAM = {
    *("TypeError", "AttributeError", "NameError", "UnboundLocalError", "KeyError", "StopIteration"),
    *(
        "ImportError",
        "ModuleNotFoundError",
        "NotImplementedError",
        "DeprecationWarning",
        "OutOfMemoryError",
        "MemoryError",
    ),
}


def inside_try(frame: FrameType | None, outer: FrameType) -> bool:
    """Whether a frame of the network would catch an error now, and go on."""
    while frame is not None and frame is not outer:
        if of_the_network(frame) and (frame.f_lineno in _catching(frame.f_code.co_filename) or _lets_go(frame)):
            return True
        frame = frame.f_back
    return False


def _lets_go(frame: FrameType) -> bool:
    """Whether a frame is inside a `with` whose manager may swallow an error."""
    return any(
        _may_swallow(_value(frame, each)) for each in _managers(frame.f_code.co_filename).get(frame.f_lineno, ())
    )


def _value(frame: FrameType, node: ast.expr) -> Any:
    """Return the class, or the function, that makes the manager of a `with`; None where that cannot be told."""
    if isinstance(node, ast.Call):
        return _named(frame, node.func)
    found = _named(frame, node)
    return None if found is None else type(found)


def _named(frame: FrameType, node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return next((known[node.id] for known in (frame.f_locals, frame.f_globals) if node.id in known), None)
    return getattr(_named(frame, node.value), node.attr, None) if isinstance(node, ast.Attribute) else None


def _may_swallow(made: Any) -> bool:
    if not isinstance(made, type):
        # Of contextlib.contextmanager: what stands around its yield.
        own = getattr(made, "__wrapped__", None)
        code = getattr(own, "__code__", None)
        return code is not None and not _catching(code.co_filename).isdisjoint(_yields(code.co_filename, code.co_name))
    if made.__module__.partition(".")[0] in ("torch", "threading", "_thread"):
        return False
    return made is suppress or _returns_truth(getattr(made, "__exit__", None))


def _returns_truth(function: Any) -> bool:
    """Whether a method may return something else than None or False."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False
    returned = [each.value for each in ast.walk(tree) if isinstance(each, ast.Return) and each.value is not None]
    return any(not (isinstance(each, ast.Constant) and not each.value) for each in returned)


@cache
def _managers(file: str) -> dict[int, list[ast.expr]]:
    """Return the managers of each line of a file that is inside of a `with`."""
    found: dict[int, list[ast.expr]] = {}
    for each in _nodes(file):
        if isinstance(each, ast.With):
            for line in _body_lines(each.body):
                found.setdefault(line, []).extend(item.context_expr for item in each.items)
    return found


@cache
def _yields(file: str, function: str) -> frozenset[int]:
    """Return the lines on which a function of a file yields."""
    return frozenset(
        part.lineno
        for each in _nodes(file)
        if isinstance(each, ast.FunctionDef) and each.name == function
        for part in ast.walk(each)
        if isinstance(part, ast.Yield)
    )


@cache
def _nodes(file: str) -> tuple[ast.AST, ...]:
    try:
        return tuple(ast.walk(ast.parse(Path(file).read_bytes())))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return ()


@cache
def _catching(file: str) -> frozenset[int]:
    """Return the lines of a file whose errors it catches, and goes on."""
    found = set[int]()
    for each in _nodes(file):
        if (
            isinstance(each, ast.Try | ast.TryStar) and (any(map(_goes_on, each.handlers)) or _leaves(each.finalbody))
        ) or (isinstance(each, ast.With) and any(_suppresses(item.context_expr) for item in each.items)):
            found |= _body_lines(each.body)
    return frozenset(found)


def _body_lines(body: Sequence[ast.stmt]) -> set[int]:
    """Return the lines of a block that run in it."""
    later = {number for each in body for part in ast.walk(each) if _is_later(part) for number in _lines(part)}
    return {number for each in body for number in _lines(each)} - later


def _is_later(node: ast.AST) -> bool:
    """Whether code is only defined here, and runs where it is called."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _lines(node: Any) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _goes_on(handler: ast.ExceptHandler) -> bool:
    leaves = _leaves(handler.body) or not isinstance(handler.body[-1], ast.Raise)
    return leaves and _may_come_of_data([handler.type])


def _leaves(body: Sequence[ast.stmt]) -> bool:
    """Whether a block may be left before its end, and with it the error that came there."""
    parts = [part for each in body for part in ast.walk(each)]
    return any(isinstance(each, ast.Return | ast.Continue | ast.Break) for each in parts)


def _suppresses(made: ast.expr) -> bool:
    return isinstance(made, ast.Call) and _name(made.func) == "suppress" and _may_come_of_data(made.args)


def _may_come_of_data(kinds: Sequence[ast.expr | None]) -> bool:
    """Whether some of these exceptions may come of the numbers in a tensor; None stands for all."""
    each = [part for kind in kinds for part in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
    return any(_name(kind) not in _OF_THE_PROGRAM for kind in each)


def _name(node: ast.expr | None) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
