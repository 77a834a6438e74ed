"""The user's own code behind classes and functions: their files, and all that these import, at any depth.

import_graph.py finds them. Python itself is not among them, nor is pitstop, whose own code has a digest
(identity.own_code). An installed package is known by its version and by the file that is imported.
"""

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata

from configs.code_files import shown

from .attributes import code_of, combined, source_file
from .import_graph import reached


def code_behind(things: Iterable[object]) -> list[bytes]:
    """Return digests of the code behind things, sorted: of modules' names and contents, wherever their files lie."""
    digests = set[bytes]()
    for name, path, installed in reached(_named(things)):
        if content := code_of(str(path)):
            version = _version(name.partition(".")[0]) if installed else ""
            digests.add(combined(shown(name), content, version.encode()))
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
