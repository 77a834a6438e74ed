"""Compares the private names in a table with the installed Ray and uvicorn, before they are used.

Names are looked up in modules and classes alone: no object of Ray's is made, so that a test and a replica's start see
the same. An attribute that objects get in a method is found in the method's code.
"""

import dis
import inspect
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

_log = logging.getLogger("pitstop")
CLASS, FUNCTION, VALUE, FIELD = "class", "function", "value", "field"
# Among the parameters of a name: there may be others, which need no default. Such a function calls ours, and ours takes
# whatever it is given.
OTHERS = "..."


class Name(NamedTuple):
    """A private name: a class, a function or method, a value of a module, or a field that the objects of a class have.

    `takes` has the parameters that are passed, in their order.
    """

    module: str
    path: str
    kind: str
    takes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.module}.{self.path}"


@dataclass(frozen=True, eq=False)
class Part:
    """What this project does with some private names, and what is lost where one of them is not as expected."""

    noun: str
    lost: str
    names: tuple[Name, ...]


def classes(module: str, takes: Mapping[str, str]) -> tuple[Name, ...]:
    """Return classes with the parameters that we pass to make an object."""
    return tuple(Name(module, path, CLASS, tuple(names.split())) for path, names in takes.items())


def functions(module: str, takes: Mapping[str, str]) -> tuple[Name, ...]:
    return tuple(Name(module, path, FUNCTION, tuple(names.split())) for path, names in takes.items())


def values(module: str, paths: str) -> tuple[Name, ...]:
    return tuple(Name(module, path, VALUE) for path in paths.split())


def fields(module: str, owner: str, names: str) -> tuple[Name, ...]:
    return tuple(Name(module, f"{owner}.{name}", FIELD) for name in names.split())


@cache
def usable(part: Part) -> bool:
    """Whether all names of a part are as expected; where one is not, the log says so, once in a process."""
    wrong = list(problems(part))
    if wrong:
        others = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        say_lost(part, wrong[0] + others)
    return not wrong


def say_lost(part: Part, why: str) -> None:
    """Log what is lost without a part."""
    say_once(f"{part.noun} cannot be used as expected ({why}): {part.lost}")


@cache
def say_once(sentence: str) -> None:
    """Log a warning the first time that this process has it."""
    _log.warning("%s", sentence)


def problems(part: Part) -> Iterator[str]:
    """Yield how the installed Ray and uvicorn differ from the table."""
    for name in part.names:
        try:
            value = installed(name)
        except Exception as error:  # A module that has moved may raise anything at its import.
            yield f"{name} is missing ({type(error).__name__})"
            continue
        if name.kind == CLASS and not inspect.isclass(value):
            yield f"{name} is no class"
        elif name.kind == FUNCTION and not callable(value):
            yield f"{name} is no function"
        elif name.kind in (CLASS, FUNCTION) and not accepts(value, name.takes):
            yield f"{name} takes other parameters than ({', '.join(name.takes)})"


def installed(name: Name) -> Any:
    """Return what the installed module has under a name; of a field its class, for fields have no value there.

    Raises:
        ImportError: the module is not there.
        AttributeError, KeyError: the name is not there.
    """
    *owners, last = name.path.split(".")
    value: Any = import_module(name.module)
    for step in owners:
        value = without_actor(getattr(value, step))
    if name.kind == FIELD:
        if not has_field(value, last):
            raise AttributeError(last)
        return value
    return value[last] if isinstance(value, Mapping) else without_actor(getattr(value, last))


def without_actor(value: Any) -> Any:
    """Return the class that Ray has made an actor of; anything else as it is."""
    value = getattr(getattr(value, "__ray_metadata__", None), "modified_class", value)
    return getattr(value, "__ray_actor_class__", value)


def has_field(owner: type, name: str) -> bool:
    """Whether the objects of a class have a field: declared, a property, or set by one of its methods."""
    if name in dir(owner):
        return True
    for each in owner.__mro__:
        if name in getattr(each, "__annotations__", ()):
            return True
        if any(_sets(inspect.unwrap(method), name) for method in vars(each).values() if inspect.isfunction(method)):
            return True
    return False


def accepts(function: Any, names: tuple[str, ...]) -> bool:
    """Whether a function has these parameters, in this order, and can be called with them alone."""
    if names == (OTHERS,):
        return True
    try:
        given = [each for each in inspect.signature(function).parameters.values() if each.name != "self"]
    except (TypeError, ValueError):  # It does not say.
        return False
    wanted = [name for name in names if name != OTHERS]
    if [each.name for each in given if each.name in wanted] != wanted:
        return False
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [each for each in given if each.default is each.empty and each.kind not in variadic]
    return OTHERS in names or all(each.name in wanted for each in needed)


def _sets(method: Any, name: str) -> bool:
    if name not in method.__code__.co_names:
        return False
    return any(step.opname == "STORE_ATTR" and step.argval == name for step in dis.get_instructions(method))
