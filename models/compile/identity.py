"""What a network is, as one digest: weights, code, attributes, and the factory with its arguments, or the model's file.

The key of all that is kept of it between starts. It is taken of the module as it was loaded, so it knows no device, no
precision and no layout; nor does it know where a file lies, since Ray puts a working_dir elsewhere in each session.
"""

import hashlib
import logging
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from torch import nn

from configs.code_files import PROJECT, is_file, split
from configs.schema import SourceConfig

from ..errors import first_line
from ..sources.files import digest, same_as_fetched
from ..sources.pretrained import directory
from ..sources.resolve import module_of, resolve
from ..user_code import call
from .attributes import NotComparableError, combined, constants, name_of, settings, tensor_bytes
from .imports import code_behind

_OWN_CODE = ("models", "configs")
_log = logging.getLogger("pitstop")


def identity(module: nn.Module, source: SourceConfig) -> str | None:
    """Return the digest of a module as it was loaded, in hex; None where something in it cannot be compared."""
    try:
        return combined("network", *_made_from(module, source), *_weights(module)).hex()
    except NotComparableError as error:
        _log.info("the compiled model is not kept: %s", error)
    except Exception as error:  # What is the user's may raise anything where it is looked at; that ends no start.
        _log.info("the compiled model is not kept: %s", first_line(error))
    return None


@cache
def own_code() -> str:
    """Return the digest of the code that builds and checks; not of models/zoo, whose networks have their identity."""
    files = [path for part in _OWN_CODE for path in (PROJECT / part).rglob("*.py")]
    named = {path.relative_to(PROJECT).as_posix(): path for path in files if path.parent.name != "zoo"}
    hasher = hashlib.sha256()
    for name, path in sorted(named.items()):
        hasher.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


def canonical(value: object) -> str:
    """Return the text of a config's plain values, in which the order of a dict's keys says nothing."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(sorted(f'{name!r}: {canonical(each)}' for name, each in value.items()))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(canonical, value))}]"
    return repr(value)


def _made_from(module: nn.Module, source: SourceConfig) -> Iterator[bytes]:
    file = source.torchscript or source.exported_program
    if file is not None:
        yield f"file {digest(same_as_fetched(file))}".encode()
    elif source.pretrained is not None:
        yield from _pretrained(module, source)
        yield from _code(module)
    else:
        assert source.factory is not None
        place, name = split(source.factory)
        yield canonical([Path(place).name if is_file(place) else place, name, source.kwargs]).encode()
        yield from _code(module, resolve(source.factory), module_of(source.factory))
        yield from settings(module)


def _pretrained(module: nn.Module, source: SourceConfig) -> Iterator[bytes]:
    """Its network is a library's, made from JSON; the network's own config object has the directory's path in it."""
    library = sys.modules.get("transformers")
    yield f"{source.task} {getattr(library, '__version__', '')}".encode()
    folder = directory.find(source).path
    for path in sorted({*folder.glob("config.json"), *folder.glob("modules.json"), *folder.glob("*/config.json")}):
        yield combined(path.relative_to(folder).as_posix(), path.read_bytes())
    yield constants({name: value for name, value in vars(module).items() if name != "training"})


def _code(module: nn.Module, *more: object) -> Iterator[bytes]:
    """Yield the structure, which shows a renamed layer or another stride, and the classes' tables and code.

    `more`: what else has code that counts.
    """
    yield call(repr, module).encode()
    kinds = {type(part) for part in module.modules()}
    own = [kind for kind in kinds if not kind.__module__.startswith("torch.")]
    yield from sorted(combined(name_of(kind), constants(_beside(kind)), constants(vars(kind))) for kind in own)
    yield from code_behind([*kinds, *more])


def _weights(module: nn.Module) -> Iterator[bytes | memoryview]:
    """Yield each weight, without a copy. Threads would gain nothing: sha256 takes 1.7 GB/s on one core [measured]."""
    for name, tensor in sorted({**dict(module.named_parameters()), **dict(module.named_buffers())}.items()):
        data = tensor_bytes(tensor)
        if data is None:
            kind = type(tensor.data).__name__
            raise NotComparableError(f"weight {name} is a {kind}, which has no bytes to compare")
        yield f"{name} {list(tensor.shape)} {tensor.dtype}".encode()
        yield data


def _beside(thing: object) -> Mapping[str, object]:
    """Return what the file of a class or a function knows by name."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    return {} if module is None else vars(module)
