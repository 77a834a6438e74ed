"""The user's own code behind classes and functions: their files, and all that these import, at any depth.

Imports are read from the text, so one inside a function counts, and are found without importing anything. Python itself
is not in it, nor is pitstop, whose own code has a digest (identity.own_code). An installed package is known by its
version and by the file that is imported, and its imports are not read. A module whose name is made while the code runs,
as in importlib.import_module(name), is not seen.
"""

import ast
import inspect
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib import metadata
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from configs.code_files import PROJECT, shown

from .attributes import code_of, combined, source_file

_STDLIB = {Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib")}
_INSTALLED = {"site-packages", "dist-packages"}
_OWN, _ZOO = (PROJECT / "models", PROJECT / "configs"), PROJECT / "models" / "zoo"
# A module's file, None where it has none, and the folders of its submodules.
_Place = tuple[str | None, list[str]]


def code_behind(things: Iterable[object]) -> list[bytes]:
    """Return digests of the code behind things, sorted: of modules' names and contents, wherever their files lie."""
    digests, seen, todo = set[bytes](), set[tuple[str, str]](), list(_named(things))
    places: dict[str, _Place] = {}
    while todo:
        name, file = todo.pop()
        path, installed = Path(file), not _INSTALLED.isdisjoint(Path(file).parts)
        if (name, file) in seen or _is_ours(path) or (_is_below(path, _STDLIB) and not installed):
            continue
        seen.add((name, file))
        content = code_of(file)
        if not content:
            continue
        version = _version(name.partition(".")[0]) if installed and not _is_below(path, [_ZOO]) else None
        digests.add(combined(shown(name), content, (version or "").encode()))
        if version is None and path.suffix == ".py":
            for each in _around_each(_imports(path.read_bytes()), name, path.name == "__init__.py"):
                if (found := _place(each, places)[0]) is not None:
                    todo.append((each, found))
    return sorted(digests)


def _named(things: Iterable[object]) -> Iterator[tuple[str, str]]:
    """Yield the module and the file of each thing, and of what stands beside it, which may be there by no import."""
    known: dict[int, object] = {}
    for thing in things:
        module = thing if inspect.ismodule(thing) else sys.modules.get(getattr(thing, "__module__", None) or "")
        known |= {id(each): each for each in (thing, *({} if module is None else vars(module)).values())}
    for each in known.values():
        if (file := source_file(each)) is not None:
            yield str(each.__name__ if inspect.ismodule(each) else each.__module__), file


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


@cache
def _version(package: str) -> str:
    """Return the versions of an installed package's distributions; "" where it is of none."""
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        # PIL is of pillow.
        return ",".join(sorted(f"{each} {metadata.version(each)}" for each in _distributions().get(package, ())))


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()
