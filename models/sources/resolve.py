"""Finds what a config names as `package.module:name`."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..user_code import call_at_start

_AT_IMPORT = (
    "correct the module, or install the versions that it was written for; "
    'what must not run at an import belongs under `if __name__ == "__main__":`'
)
_MISSING = object()

_PROJECT = Path(__file__).resolve().parents[2]


def resolve(path: str) -> Callable[..., Any]:
    """Return what `package.module:name` names."""
    module_name, _, name = path.partition(":")
    value = call_at_start(f"{path}: the import of {module_name}", _AT_IMPORT, _find, path, module_name, name)
    if not callable(value):
        raise ModelError(f"{path}: is a {type(value).__name__}, not a callable\nhelp: name a class or a function")
    return value  # type: ignore[no-any-return]


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
        # Some packages import their parts only when these are asked for.
        value = getattr(module, name, _MISSING)
    except ImportError as error:
        raise _not_importable(path, module_name, error) from error
    if value is _MISSING:
        raise ModelError(f"{path}: {module_name} has no {name!r}\nhelp: check the name after the colon")
    return value


def _not_importable(path: str, module_name: str, error: ImportError) -> ModelError:
    top = module_name.partition(".")[0]
    # The module itself, or a package around it, is what is missing; else something that it imports.
    own = error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}."))
    if own and (_PROJECT / top).is_dir():
        return ModelError(
            f"{path}: {error}: the name {top!r} is taken by a package of pitstop itself\n"
            f"help: rename your package {top}, or put the file into models/zoo/"
        )
    if own:
        return ModelError(
            f"{path}: {error}\nhelp: it must be importable where `serve run` starts; a file in models/zoo/ always is"
        )
    return ModelError(
        f"{path}: {module_name} was found, but what it imports was not: {error}\n"
        f"help: install what {module_name} needs where `serve run` starts"
    )
