"""Finds what a config names as `package.module:name`."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import ModelError

_PROJECT = Path(__file__).resolve().parents[1]


def resolve(path: str) -> Callable[..., Any]:
    """Return what `package.module:name` names."""
    module_name, _, name = path.partition(":")
    module = _imported(path, module_name)
    try:
        found = getattr(module, name)
    except ImportError as error:  # Packages that import their parts when these are asked for.
        raise _not_importable(path, module_name, error) from error
    except AttributeError as error:
        raise ModelError(f"{path}: {module_name} has no {name!r}\nhelp: check the name after the colon") from error
    if not callable(found):
        raise ModelError(f"{path}: is a {type(found).__name__}, not a callable\nhelp: name a class or a function")
    return found  # type: ignore[no-any-return]


def _imported(path: str, module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        raise _not_importable(path, module_name, error) from error
    except Exception as error:  # The module's own code.
        line = (str(error).strip().splitlines() or [""])[0][:300]
        raise ModelError(
            f"{path}: {module_name} raised {type(error).__name__} when it was imported: {line}\n"
            "help: correct the module, or install the versions that it was written for"
        ) from error


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
