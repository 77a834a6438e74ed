"""Finds what a config names as `package.module:name` or `path/to/file.py:name`."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from configs.code_files import advise_import, as_written, clash, is_file, split
from configs.suggest import closest

from ..errors import ModelError
from ..user_code import call_at_start, described
from . import code_file

_AT_IMPORT = (
    "correct the module, or install the versions that it was written for; "
    'what must not run at an import belongs under `if __name__ == "__main__":`'
)
_MISSING = object()


def resolve(path: str) -> Callable[..., Any]:
    """Return what `package.module:name` or `path/to/file.py:name` names."""
    place, name = split(path)
    found = call_at_start(f"{path}: the import of {place}", _AT_IMPORT, _find, path, place, name)
    if not callable(found):
        raise ModelError(f"{path}: is a {type(found).__name__}, not a callable\nhelp: name a class or a function")
    return found  # type: ignore[no-any-return]


def module_of(path: str) -> ModuleType:
    """Return the module in which `resolve` found what a path names: it may itself come from another one."""
    place, _ = split(path)
    return code_file.load(code_file.find(place)) if is_file(place) else importlib.import_module(place)


def _find(path: str, place: str, name: str) -> Any:
    file = code_file.find(place) if is_file(place) else None
    try:
        module = importlib.import_module(place) if file is None else code_file.load(file)
        # Some packages import their parts only when these are asked for.
        found = getattr(module, name, _MISSING)
    except SyntaxError as error:
        if not error.filename:
            raise
        raise ModelError(
            f"{path}: {error.filename} has a syntax error on line {error.lineno}: {error.msg}\nhelp: correct it there"
        ) from error
    except ImportError as error:
        raise _not_importable(path, place, error) if file is None else _import_failed(path, file, error) from error
    if found is _MISSING:
        raise _no_such_name(path, module)
    return found


def _no_such_name(path: str, module: ModuleType) -> ModelError:
    place, name = split(path)
    if "." not in place and (taken := clash(place, name)):
        return ModelError(f"{path}: {place} has no {name!r}: {taken[0]}\nhelp: {taken[1]}")
    best = closest(name, [each for each in vars(module) if not each.startswith("_")])
    advice = f"did you mean {best!r}?" if best else "check the name after the colon"
    return ModelError(f"{path}: {place} has no {name!r}\nhelp: {advice}")


def _not_importable(path: str, module: str, error: ImportError) -> ModelError:
    # The module itself, or a package around it, is what is missing; else something that it imports.
    own = error.name is not None and (module == error.name or module.startswith(f"{error.name}."))
    if own and (taken := clash(module, split(path)[1])):
        return ModelError(f"{path}: {error}: {taken[0]}\nhelp: {taken[1]}")
    if own:
        return ModelError(
            f"{path}: {error}\nhelp: it must be importable where `serve run` starts; a file in models/zoo/ always is"
        )
    return ModelError(
        f"{path}: {module} was found, but what it imports was not: {error}\n"
        f"help: install what {module} needs where `serve run` starts"
    )


def _import_failed(path: str, file: Path, error: ImportError) -> ModelError:
    text = described(error)
    name = as_written(error.name or "") or (".." if "relative import" in text else "")
    return ModelError(f"{path}: an import in it failed: {text}\nhelp: {advise_import(name, file.parent)}")
