"""What a config names as `package.module:name`, or as `path/to/file.py:name` where the file is on no import path.

Such a path is looked up as those of weights are: in the working directory, then in the project's root. The file is
loaded in models/sources/code_file.py. Here too is what is told of a user's package that has the name of one of ours.
"""

import hashlib
import re
import sys
from contextlib import suppress
from importlib.machinery import all_suffixes
from importlib.util import find_spec
from pathlib import Path

from .suggest import closest

PROJECT = Path(__file__).resolve().parents[1]
LOOKED_UP = "paths are looked up in the working directory, then in the project's root"
_FOLDER = "pitstop_file_"
_OF_A_FILE = re.compile(rf"{_FOLDER}[0-9a-f]{{12}}\.?")
_NAME = re.compile(r"[A-Za-z_]\w*")
_MODULE = re.compile(r"[A-Za-z_][\w.]*")


def import_path(text: str) -> str:
    """Return the text if it has one of the two forms, or raise ValueError."""
    place, _, name = text.rpartition(":")
    if "://" in text:
        raise ValueError(
            f"{text!r} is a URL, and no code is loaded from a URL\nhelp: copy the file to every node and write its path"
        )
    if is_file(text):
        raise ValueError(f"{text!r} names a file, but nothing in it\nhelp: add the class or the function: {text}:Name")
    if not _NAME.fullmatch(name) or not (is_file(place) or "/" in place or _MODULE.fullmatch(place)):
        raise ValueError(
            f"{text!r} should be package.module:name or path/to/file.py:name, where name is a class or a function\n"
            "help: for a method such as X.from_pretrained, write a function that calls it and name that"
        )
    if "/" in place and not is_file(place):
        raise ValueError(f"{text!r}: {place} is not a .py file\nhelp: write path/to/file.py:{name}")
    return text


def names_code(text: str) -> bool:
    """Whether a value that may name a file or a callable names a callable."""
    return ":" in text and "://" not in text


def split(target: str) -> tuple[str, str]:
    """Return the module or the file, and the name in it; no module and no name where the text has neither form."""
    place, _, name = target.rpartition(":")
    return place, name if place else ""


def is_file(place: str) -> bool:
    """Whether it is a path and not a module."""
    return place.endswith(".py")


def local(location: str) -> Path | None:
    """Return the file of a path, or None where there is none."""
    for folder in (Path(), PROJECT):
        with suppress(OSError, RuntimeError):  # A name that is too long, or the home of nobody.
            if (path := folder / Path(location).expanduser()).is_file():
                return path
    return None


def no_such_file(location: str) -> tuple[str, str]:
    """Return what is wrong with a path of no file, and the way out."""
    with suppress(OSError, RuntimeError):  # As above.
        if any((folder / Path(location).expanduser()).is_dir() for folder in (Path(), PROJECT)):
            return f"{location}: is a directory", "name a file in it"
    return f"{location}: no such file", LOOKED_UP


def module_names(file: Path) -> tuple[str, str]:
    """Return the names that a file's folder and the file have as modules: no other module's, the same for one path."""
    stem = file.stem
    if not stem.isidentifier():
        stem = re.sub(r"\W", "_", stem) + "_" + _digest(file.name)
    return f"{_FOLDER}{_digest(str(file.parent))}", stem


def shown(module: str) -> str:
    """Return a module's name without that of a file's folder, which says nothing."""
    return module.partition(".")[2] if module.startswith(_FOLDER) else module


def as_written(text: str) -> str:
    """Return a text in which an import of a file's neighbour is as the file has it, with a dot."""
    return _OF_A_FILE.sub(".", text)


def beside(folder: Path, module: str) -> bool:
    """Whether a folder has the file or the package of a module's first part."""
    top = module.partition(".")[0]
    files = (folder / f"{top}{suffix}" for suffix in all_suffixes())
    return bool(top) and ((folder / top).is_dir() or any(file.is_file() for file in files))


def clash(module: str, name: str = "Name") -> tuple[str, str] | None:
    """Return why a module cannot be found where one of our packages has the name of the user's, and the way out.

    None where no package of ours has its name, or the module is rather a misspelt one of ours.
    """
    top, _, rest = module.partition(".")
    ours = PROJECT / top
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != ours / "__init__.py":
        return None
    theirs = _theirs(module)
    if theirs is None and rest and closest(rest.partition(".")[0], [each.stem for each in ours.iterdir()]):
        return None
    file = theirs or f"path/to/{module.replace('.', '/')}{'.py' if rest else '/__init__.py'}"
    what = f"the name {top!r} is taken by a package of pitstop itself"
    return what, f"name the file in place of the module: {file}:{name}"


def advise_import(module: str, folder: Path) -> str:
    """Return what to do where a file of this folder imports a module that cannot be found; dots as it has them."""
    top, _, rest = module.partition(".")
    if module.startswith(".."):
        return "a file may import those of its own folder, with one dot, and no folder above it"
    if module.startswith("."):
        return f"put it into {folder}, or check its spelling"
    if beside(folder, top):
        way = f"write `from . import {top}` or `from .{top} import …`"
        return f"{folder} is on no import path: {way}, or add it to PYTHONPATH"
    if told := clash(module):
        way = f"write `from .{rest} import …`" if rest and beside(folder, rest) else "rename yours"
        return f"{told[0]}: {way}"
    return "install what it needs where `serve run` starts, in the version that it was written for"


def _theirs(module: str) -> str | None:
    """Return the file of a module in a package of the user's, as a config should name it."""
    here, path = Path.cwd(), module.replace(".", "/")
    for folder in (here, *map(Path, sys.path)):
        for file in (folder / f"{path}.py", folder / path / "__init__.py"):
            if folder.resolve() != PROJECT and file.is_file():
                return file.relative_to(here).as_posix() if file.is_relative_to(here) else str(file.resolve())
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
