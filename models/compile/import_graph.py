"""Which files a file imports, at any depth, read from their text: nothing is imported, and no torch is needed.

An import inside a function counts. Python itself is not followed, nor is pitstop, nor an installed package. A module
whose name is made while the code runs, as in importlib.import_module(name), is not seen.
"""

import ast
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from configs.code_files import PROJECT, is_file, local, module_names, names_code, shown, split

_STDLIB = {Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib")}
_INSTALLED = {"site-packages", "dist-packages"}
_OWN, _ZOO = (PROJECT / "models", PROJECT / "configs"), PROJECT / "models" / "zoo"
# A module's file, None where it has none, and the folders of its submodules.
_Place = tuple[str | None, list[str]]


def reached(modules: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Path, bool]]:
    """Yield each file that modules, by name and file, reach: its module's name, itself, and whether it is installed."""
    seen, todo = set[tuple[str, str]](), list(modules)
    # A file that is on no import path finds its neighbours through a package that stands for its folder.
    places: dict[str, _Place] = {
        name.partition(".")[0]: (None, [str(Path(file).parent)]) for name, file in todo if shown(name) != name
    }
    while todo:
        name, file = todo.pop()
        path, installed = Path(file), not _INSTALLED.isdisjoint(Path(file).parts)
        if (name, file) in seen or _is_ours(path) or (_is_below(path, _STDLIB) and not installed):
            continue
        seen.add((name, file))
        if not path.is_file():
            continue
        package = installed and not _is_below(path, [_ZOO])
        yield name, path, package
        if not package and path.suffix == ".py":
            for each in _around_each(_imports(path.read_bytes()), name, path.name == "__init__.py"):
                if (found := _place(each, places)[0]) is not None:
                    todo.append((each, found))


def files_of(named: object) -> set[Path]:
    """Return a user's files behind whatever names code, as a config does, in a mapping, a list or a text."""
    return {path for _, path, installed in reached(_modules(named)) if not installed}


def _modules(named: object) -> Iterator[tuple[str, str]]:
    """Yield the module and the file of each text that is `package.module:name` or `path/to/file.py:name`."""
    if isinstance(named, dict | list | tuple):
        for each in named.values() if isinstance(named, dict) else named:
            yield from _modules(each)
    elif isinstance(named, str) and names_code(named):
        place = split(named)[0]
        if not is_file(place):
            found = _place(place, {})[0] if all(part.isidentifier() for part in place.split(".")) else None
            if found is not None:
                yield place, found
        elif (file := local(place)) is not None:
            yield ".".join(module_names(file.resolve())), str(file.resolve())


def _is_ours(file: Path) -> bool:
    return _is_below(file, _OWN) and not _is_below(file, [_ZOO])


def _is_below(file: Path, folders: Iterable[Path]) -> bool:
    return any(file.is_relative_to(folder) for folder in folders)


# What is written of an import: its dots, its module, and the names that are taken from it.
_Import = tuple[int, str, tuple[str, ...]]


@lru_cache(maxsize=1024)
def _imports(text: bytes) -> tuple[_Import, ...]:
    """Return the imports anywhere in a file; none where Python cannot read it."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    plain = [(0, each.name, ()) for node in nodes if isinstance(node, ast.Import) for each in node.names]
    plain += [(0, name, ()) for node in nodes if (name := _named_in(node))]
    taken = [
        (node.level, node.module or "", tuple(each.name for each in node.names))
        for node in nodes
        if isinstance(node, ast.ImportFrom)
    ]
    return (*plain, *taken)


def _named_in(node: ast.AST) -> str:
    """Return the module that a call of import_module or __import__ names in so many words; "" where there is none."""
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return ""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    name = node.args[0].value
    return name if called in ("import_module", "__import__") and isinstance(name, str) and name[:1] != "." else ""


def _around_each(imports: Iterable[_Import], name: str, is_package: bool) -> Iterator[str]:
    """Yield the full name of each module that such imports of a module may load, and of the packages around it."""
    names: dict[str, None] = {}
    parents = name.split(".") if is_package else name.split(".")[:-1]
    for dots, module, parts in imports:
        base = [*(parents[: len(parents) + 1 - dots] if dots else ()), *filter(None, module.split("."))]
        # What is taken from a package may be a module of it.
        for steps in ([*base, part] for part in parts or ("",)):
            names |= {".".join(steps[:count]): None for count in range(1, len(steps) + 1) if steps[count - 1]}
    yield from names


def _place(name: str, places: dict[str, _Place]) -> _Place:
    if name not in places:
        try:
            places[name] = _found(name, places)
        except Exception:  # No such module, or one that raises where it is looked at.
            places[name] = None, []
    return places[name]


def _found(name: str, places: dict[str, _Place]) -> _Place:
    if (module := sys.modules.get(name)) is not None:
        return getattr(module, "__file__", None), list(getattr(module, "__path__", ()))
    parent, _, last = name.rpartition(".")
    # By its last name alone: a full one would have importlib look for its parents in sys.modules.
    spec = PathFinder.find_spec(last, _place(parent, places)[1]) if parent else find_spec(name)
    if spec is None:
        return None, []
    return spec.origin if spec.has_location else None, list(spec.submodule_search_locations or ())
