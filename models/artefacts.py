"""Keeps compiled TorchScript between starts, under a key made of everything that it was made from.

The key covers weights, the code of every module, versions, precision, layout and device: what changed is never loaded.
An artefact carries its checksum and is written whole or not at all, so what is half there is never run. One that cannot
be read or written, for a full disk say, costs a compilation, never a start.
"""

import hashlib
import inspect
import io
import json
import logging
from pathlib import Path

import torch
from torch import nn

from .files import cache_dir, write_atomically
from .layout import Layout

_FORMAT = "2"
_DIGEST_BYTES = hashlib.sha256().digest_size
_HELP = "help: see that there is room and that it may be written to, or point PITSTOP_CACHE to another folder"
_log = logging.getLogger("pitstop")


def key_of(module: nn.Module, layout: Layout, method: str) -> str:
    """Return the content key, in hex."""
    parts = [_FORMAT, torch.__version__, method, str(layout.device.type), str(layout.dtype), str(layout.channels_last)]
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
    """Return the source files of all module classes, and the structure: a renamed layer or other stride shows there."""
    files = set()
    for part in module.modules():
        try:
            files.add(inspect.getsourcefile(type(part)) or "")
        except TypeError:
            files.add("")
    own = sorted(name for name in files if name and "torch/nn/" not in name.replace("\\", "/"))
    return [repr(module).encode(), *(Path(name).read_bytes() for name in own if Path(name).is_file())]
