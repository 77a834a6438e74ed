"""Checks that what a file imports can be found where it will be loaded: by models/sources/code_file.py.

Only imports that always run are looked at: those at the file's top, under no `if` and no `try`.
"""

import ast
import importlib.util
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from ..code_files import advise_import, beside, clash

Failing = tuple[int, str, str]


def failing_imports(body: list[ast.stmt], folder: Path) -> Iterator[Failing]:
    """Yield the line of an import of what is not there, what is wrong with it, and what to do."""
    for node in body:
        if isinstance(node, ast.Import):
            for module in (alias.name for alias in node.names):
                yield from _absent(node.lineno, module, folder)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from _absent(node.lineno, node.module or "", folder)
        elif isinstance(node, ast.ImportFrom):
            for module in [node.module] if node.module else [alias.name for alias in node.names]:
                relative = "." * node.level + module
                if node.level > 1 or not (module == "*" or beside(folder, module)):
                    yield node.lineno, f"there is no module {relative}", advise_import(relative, folder)


def find(module: str) -> ModuleSpec | None:
    """Find a module as an import would, but import none of its parents."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # By its last name: a folder without __init__.py would look for its parent among the imported modules.
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec


def _absent(line: int, module: str, folder: Path) -> Iterator[Failing]:
    # Of another's package only the first part is looked for: it may make the others as it is imported.
    if find(module.partition(".")[0]) is None or (find(module) is None and clash(module)):
        yield line, f"there is no module {module}", advise_import(module, folder)
