"""Finds what a config names as `package.module:name`."""

import importlib
from collections.abc import Callable
from typing import Any

from .errors import ModelError
from .user_code import call_at_start

_AT_IMPORT = 'what must not run at an import belongs under `if __name__ == "__main__":`'


def resolve(path: str) -> Callable[..., Any]:
    """Return what `package.module:name` names."""
    module_name, _, name = path.partition(":")
    found = call_at_start(f"{path}: the import of {module_name}", _AT_IMPORT, _find, path, module_name, name)
    if not callable(found):
        raise ModelError(f"{path}: is a {type(found).__name__}, not a callable\nhelp: name a class or a function")
    return found  # type: ignore[no-any-return]


def make_preprocess(path: str | None) -> Callable[..., Any] | None:
    """Return what a config's `preprocess` makes, or None where there is none."""
    if path is None:
        return None
    advice = "it is called once at the start, with no arguments, and returns the function that each request calls"
    made: object = call_at_start(f"preprocess {path}", advice, resolve(path))
    if not callable(made):
        raise ModelError(f"preprocess {path} returned a {type(made).__name__}\nhelp: {advice}")
    return made


def _find(path: str, module_name: str, name: str) -> Any:
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ModelError(
            f"{path}: {error}\nhelp: it must be importable where `serve run` starts; a file in models/zoo/ always is"
        ) from error
    if not hasattr(module, name):
        raise ModelError(f"{path}: {module_name} has no {name!r}\nhelp: check the name after the colon")
    return getattr(module, name)
