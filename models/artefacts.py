"""Keeps compiled TorchScript between starts, under a key made of everything that it was made from.

The key covers weights, what the model was made from, the settings and the code of every module with the functions that
its file imports, versions, precision, layout and device: what changed there is never loaded.
An artefact carries its checksum and is written whole or not at all, so what is half there is never run. One that cannot
be read or written, for a full disk say, costs a compilation, never a start.
"""

import hashlib
import inspect
import io
import json
import logging
import sys
from pathlib import Path

import torch
from torch import nn

from .files import cache_dir, write_atomically
from .layout import Layout
from .user_code import call

_FORMAT = "3"
_TORCH = Path(torch.__file__).parent
_DIGEST_BYTES = hashlib.sha256().digest_size
# What lies deeper in a setting, or holds itself, is none.
_DEEPEST = 8
_HELP = "help: see that there is room and that it may be written to, or point PITSTOP_CACHE to another folder"
_log = logging.getLogger("pitstop")


def key_of(module: nn.Module, layout: Layout, method: str, made_from: str = "") -> str:
    """Return the content key, in hex. `made_from` names the factory and what it was given."""
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
    for source in _code(module):
        hasher.update(source)
    for name, tensor in sorted({**dict(module.named_parameters()), **dict(module.named_buffers())}.items()):
        hasher.update(f"{name} {list(tensor.shape)} {tensor.dtype}\n".encode())
        hasher.update(tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def read(key: str, device: torch.device) -> tuple[torch.jit.ScriptModule, str, str] | None:
    """Return the kept module, how it was made and what was noted then, or None."""
    path = _path(key)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # Whether it can be made, writing will tell.
        return None
    except OSError as error:
        _log.warning("compiled artefact %s cannot be read and will be made again: %s\n%s", path, error, _HELP)
        return None
    extra = {"how.json": ""}
    try:
        module = torch.jit.load(_checked(data), map_location=device, _extra_files=extra)  # type: ignore[no-untyped-call]
        made = json.loads(extra["how.json"])
        return module, str(made["how"]), str(made["note"])
    except (RuntimeError, ValueError, KeyError) as error:
        _log.warning("compiled artefact %s is damaged and will be made again (%s)", path, type(error).__name__)
        return None


def write(key: str, module: torch.jit.ScriptModule, how: str, note: str) -> None:
    """Keep a module; a full disk is worth a warning, not a failed start."""
    try:
        buffer = io.BytesIO()
        torch.jit.save(module, buffer, _extra_files={"how.json": json.dumps({"how": how, "note": note})})
        data = buffer.getvalue()
        write_atomically(_path(key), hashlib.sha256(data).digest() + data)
    except OSError as error:
        _log.warning(
            "compiled artefact not kept in %s, the next start compiles again: %s\n%s", cache_dir(), error, _HELP
        )
    except RuntimeError as error:  # A module that calls @torch.jit.ignore cannot be saved.
        _log.warning("compiled artefact not kept, the next start compiles again: %s", error)


def _checked(data: bytes) -> io.BytesIO:
    digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("the checksum does not fit")
    return io.BytesIO(content)


def _path(key: str) -> Path:
    return cache_dir() / "torchscript" / f"{key}.pt"


def _code(module: nn.Module) -> list[bytes]:
    """Return the structure, where a renamed layer or another stride shows, every module's settings, and its code."""
    settings = [f"{name} {_settings(part)}".encode() for name, part in module.named_modules()]
    kinds = sorted({type(part) for part in module.modules()}, key=repr)
    constants = [repr(_constants(kind)).encode() for kind in kinds]
    files = {file for kind in kinds for file in _files(kind)}
    return [call(repr, module).encode(), *settings, *constants, *(Path(file).read_bytes() for file in sorted(files))]


def _settings(part: nn.Module) -> list[tuple[str, object]]:
    """Return what a module keeps in plain attributes: `self.scale` shows in no other place."""
    return sorted((name, value) for name, value in vars(part).items() if name != "training" and _plain(value))


def _constants(kind: type[nn.Module]) -> list[tuple[str, object]]:
    """Return the plain values that the file of a class knows by name; those it imports stand in other files."""
    known = {} if kind.__module__.startswith("torch.") else _beside(kind)
    return sorted((name, value) for name, value in known.items() if not name.startswith("__") and _plain(value))


def _plain(value: object, depth: int = _DEEPEST) -> bool:
    if isinstance(value, dict | list | tuple):
        each = [part for pair in value.items() for part in pair] if isinstance(value, dict) else value
        return depth > 0 and all(_plain(part, depth - 1) for part in each)
    return value is None or isinstance(value, bool | int | float | complex | str | bytes)


def _files(kind: type[nn.Module]) -> set[str]:
    """Return the file of a class, and those of the functions, classes and modules it imports, without torch's own."""
    found = {_file(kind), *(_file(each) for each in _beside(kind).values())}
    return {file for file in found if file and not Path(file).is_relative_to(_TORCH) and Path(file).is_file()}


def _beside(kind: type[nn.Module]) -> dict[str, object]:
    """Return what the file of a class knows by name."""
    module = sys.modules.get(kind.__module__)
    return {} if module is None else vars(module)


def _file(thing: object) -> str | None:
    if not (inspect.isclass(thing) or inspect.isfunction(thing) or inspect.ismodule(thing)):
        return None
    try:
        return inspect.getsourcefile(thing)
    except TypeError:  # Built in.
        return None
