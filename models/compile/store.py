"""Keeps a backend's compiled models between starts, under a key of everything that they depend on.

The key covers weights, the factory and its arguments, the attributes and the code of every module with the functions
that its file imports, versions, precision, layout and device: after a change of these no old artefact is loaded.
An artefact has its checksum in its name and is written whole or not at all, so a partial one is never run. If one
cannot be read or written, because of a full disk say, that costs a compilation, never a start. Saving, checking and
loading use the file, without a second copy of the weights in memory.
"""

import hashlib
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from configs.backends import BACKENDS

from .. import cache
from ..runtime.layout import Layout
from ..sources.files import digest, written_atomically
from ..user_code import call
from .attributes import NotComparableError, constants, settings, source_file, tensor_bytes

T = TypeVar("T")
_FORMAT = "6"
_TORCH = Path(torch.__file__).parent
_HELP = "help: check its free space and permissions, or set PITSTOP_CACHE to another folder"
_log = logging.getLogger("pitstop")


def key_of(module: nn.Module, layout: Layout, method: str, made_from: str = "") -> str | None:
    """Return the content key, in hex, or None if weights or attributes cannot be compared: nothing is kept then.

    `made_from` names the factory and its arguments.
    """
    parts = [
        _FORMAT,
        torch.__version__,
        method,
        made_from,
        str(layout.device.type),
        str(layout.dtype),
        str(layout.channels_last),
    ]
    if layout.device.type == "cuda":
        parts.append(torch.cuda.get_device_name(layout.device))
    hasher = hashlib.sha256("\n".join(parts).encode())
    try:
        for source in _code(module):
            hasher.update(source)
    except NotComparableError as error:
        _log.info("the compiled model is not kept: %s", error)
        return None
    for name, tensor in sorted({**dict(module.named_parameters()), **dict(module.named_buffers())}.items()):
        data = tensor_bytes(tensor)
        if data is None:
            kind = type(tensor.data).__name__
            _log.info("the compiled model is not kept: weight %s is a %s, which has no bytes to compare", name, kind)
            return None
        hasher.update(f"{name} {list(tensor.shape)} {tensor.dtype}\n".encode())
        hasher.update(data)
    return hasher.hexdigest()


def read(backend: str, key: str | None, load: Callable[[Path], T]) -> T | None:
    """Return the artefact of a backend, read by `load`; None if none is kept, or it is not whole."""
    for path in _kept(backend, key):
        try:
            if cache.use(path):
                _check(path)
                return load(path)
        except FileNotFoundError:  # Removed by another process.
            continue
        except OSError as error:
            _log.warning("compiled artefact %s cannot be read and will be made again: %s\n%s", path, error, _HELP)
        except Exception as error:  # A loader may raise anything for a file of another version or a broken one.
            _log.warning("compiled artefact %s is damaged and will be made again (%s)", path, type(error).__name__)
            with suppress(OSError):
                path.unlink()
    return None


def write(backend: str, key: str | None, save: Callable[[Path], None]) -> None:
    """Keep the file that `save` writes; a full disk gets a warning and does not fail the start."""
    if key is None:
        return
    try:
        with written_atomically(cache.folder(backend)) as part:
            save(part)
            path = part.with_name(f"{key}-{digest(part)}{BACKENDS[backend].artefact}")
            part.replace(path)
    except (OSError, RuntimeError) as error:
        # RuntimeError: a module that calls @torch.jit.ignore.
        line = str(error).partition("\n")[0]
        _log.warning(
            "compiled artefact not kept in %s, the next start compiles again: %s\n%s", cache.cache_dir(), line, _HELP
        )
        return
    cache.use(path)
    cache.shrink(path)


def _kept(backend: str, key: str | None) -> list[Path]:
    if key is None:
        return []
    return sorted((cache.cache_dir() / backend).glob(f"{key}-*{BACKENDS[backend].artefact}"))


def _check(path: Path) -> None:
    if digest(path) != path.stem.rpartition("-")[2]:
        raise ValueError("the checksum does not fit")


def _code(module: nn.Module) -> list[bytes]:
    """Return the structure, which shows a renamed layer or another stride, and every module's settings and code."""
    kinds = sorted({type(part) for part in module.modules()}, key=repr)
    known = [constants(each) for kind in kinds if not kind.__module__.startswith("torch.") for each in _named(kind)]
    files = {file for kind in kinds for file in _files(kind)}
    return [
        call(repr, module).encode(),
        *settings(module),
        *known,
        *(Path(file).read_bytes() for file in sorted(files)),
    ]


def _named(kind: type[nn.Module]) -> tuple[Mapping[str, object], ...]:
    """Return the values that the file of a class and the class itself know by name."""
    return _beside(kind), vars(kind)


def _files(kind: type[nn.Module]) -> set[str]:
    """Return the file of a class, and those of the functions, classes and modules it imports, without torch's own."""
    files = {source_file(kind), *(source_file(each) for each in _beside(kind).values())}
    return {file for file in files if file and not Path(file).is_relative_to(_TORCH) and Path(file).is_file()}


def _beside(kind: type[nn.Module]) -> dict[str, object]:
    """Return what the file of a class knows by name."""
    module = sys.modules.get(kind.__module__)
    return {} if module is None else vars(module)
