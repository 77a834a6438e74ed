"""The linter runs every rule that there is."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any, get_type_hints

from configs import lint
from configs.problems import Problem


def test_every_function_that_yields_problems_is_run() -> None:
    names = [f"configs.lint.{module.name}" for module in pkgutil.iter_modules(lint.__path__)]
    rules = [function for name in names for function in _rules_of(import_module(name))]
    assert len(rules) > 10
    assert [rule.__name__ for rule in rules if rule not in vars(import_module("configs.lint.lint")).values()] == []


def _rules_of(module: Any) -> Iterator[Any]:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        defined_here = function.__module__ == module.__name__ and not name.startswith("_")
        if defined_here and get_type_hints(function).get("return") == Iterator[Problem]:
            yield function
