"""Finds what a config names as `package.module:name`."""

import importlib
from collections.abc import Callable
from typing import Any

from .errors import ModelError


def resolve(path: str) -> Callable[..., Any]:
    """Return what `package.module:name` names."""
    module_name, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except ImportError as error:
        raise ModelError(
            f"{path}: {error}\nhelp: it must be importable where `serve run` starts; a file in models/zoo/ always is"
        ) from error
    except AttributeError as error:
        raise ModelError(f"{path}: {module_name} has no {name!r}\nhelp: check the name after the colon") from error
    if not callable(found):
        raise ModelError(f"{path}: is a {type(found).__name__}, not a callable\nhelp: name a class or a function")
    return found  # type: ignore[no-any-return]
