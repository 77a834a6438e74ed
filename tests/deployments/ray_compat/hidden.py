"""Takes a private name away from what is installed, or gives it other parameters, for the time of a test."""

from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.ray_compat import names
from deployments.ray_compat.names import CLASS, FIELD, FUNCTION, VALUE, Name, Part, without_actor
from deployments.ray_compat.table import PARTS


def each_name() -> Iterator[tuple[Part, Name]]:
    """Yield every name of the tables, and every class that has one of them."""
    for part in PARTS:
        owners = {Name(name.module, name.path.rpartition(".")[0], VALUE) for name in part.names if "." in name.path}
        yield from ((part, name) for name in (*part.names, *sorted(owners)))


def each_function() -> Iterator[tuple[Part, Name]]:
    for part in PARTS:
        yield from ((part, name) for name in part.names if name.kind in (CLASS, FUNCTION) and name.takes != ("...",))


def hide(name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no such name."""
    owner, last = _owner(name)
    if name.kind == FIELD:
        _hide_field(owner, last, monkeypatch)
    elif isinstance(owner, dict):
        monkeypatch.delitem(owner, last)
    elif last == "HTTP":  # A member of an Enum cannot be deleted.
        monkeypatch.setattr(import_module(name.module), owner.__name__, SimpleNamespace())
    elif isinstance(owner, type):
        for each in owner.__mro__:  # What a base class has is found too.
            if last in vars(each):
                monkeypatch.delattr(each, last)
    else:
        monkeypatch.delattr(owner, last)


def change(name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it take another parameter, which must be given."""

    def other(self: object = None, *, something_else: object) -> None:  # noqa: ARG001
        raise AssertionError(f"called with {something_else}")

    owner, last = _owner(name)
    monkeypatch.setattr(owner, last, type(last, (), {"__init__": other}) if name.kind == CLASS else other)


def _owner(name: Name) -> tuple[Any, str]:
    *owners, last = name.path.split(".")
    found: Any = import_module(name.module)
    for each in owners:
        found = without_actor(getattr(found, each))
    return found, last


def _hide_field(owner: type, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = names.has_field
    monkeypatch.setattr(names, "has_field", lambda each, name: (each, name) != (owner, field) and original(each, name))
