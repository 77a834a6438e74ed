"""Loads the file of `path/to/file.py:name`, which is on no import path: once a process, however many models name it.

Its module is in a package that stands for its folder and is named after it. So `from . import helper` finds what lies
beside it, files of the same name in two folders are two modules, and no file hides a module of anybody else's. The
folder's own __init__.py is not run.
"""

import sys
import threading
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from configs.code_files import module_names

from .files import fetch

_LOCK = threading.RLock()


def find(location: str) -> Path:
    """Return the file, symlinks resolved; raise ModelError where it is not there, or $PITSTOP_SOURCES forbids it."""
    return fetch(location).resolve()


def load(file: Path) -> ModuleType:
    """Return the module of a file as `find` returned it. What the file raises passes."""
    package, stem = module_names(file)
    name = f"{package}.{stem}"
    with _LOCK:
        if name in sys.modules:
            return sys.modules[name]
        spec = spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        folder = _folder(package, file.parent)
        # As an import does it: what looks a class up by its module finds it, TorchScript and pickle among them.
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        setattr(folder, stem, module)
        return module


def _folder(package: str, folder: Path) -> ModuleType:
    if package not in sys.modules:
        spec = ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[package] = module_from_spec(spec)
    return sys.modules[package]
