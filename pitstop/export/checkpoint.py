"""Weights as safetensors: written, read back, and compared bit by bit.

Tied weights are written once for each of their names: a network's state_dict asks for all of them.
"""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch

from models.errors import ModelError
from models.sources import checkpoint
from models.sources.files import fetch, follow_umask, shown
from models.sources.source import state_dict

T = TypeVar("T")


def read(location: str) -> dict[str, torch.Tensor]:
    """Return a checkpoint's tensors. Nothing in the file is run: a pickled object is refused, with the way out."""
    path, location = fetch(location), shown(location)
    if is_torchscript(path):
        raise ModelError(
            f"{location}: is TorchScript already, and carries its network\n"
            "help: name it as source.torchscript in a config, then export from there: --config"
        )
    return plainly(lambda: state_dict(path, location), location)


def plainly(load: Callable[[], T], location: str | None) -> T:
    """Load; where the file is a pickle, name the flag that this command has for it."""
    try:
        return load()
    except checkpoint.PickledError as error:
        raise ModelError(
            f"{location}: holds a pickled object, not plain weights; loading it would run its author's code\n"
            "help: where you trust the file, add --trust-pickle: it is then loaded in a subprocess"
        ) from error


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, by its parts; nothing is loaded."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        parts = {name.partition("/")[2] for name in archive.namelist()}
    return "constants.pkl" in parts and any(part.startswith("code/") for part in parts)


def write(tensors: Mapping[str, object], path: Path) -> int:
    """Write a state_dict and return how many tensors were read back the same."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: _plain(name, value) for name, value in tensors.items()}
    if not plain:
        raise ModelError("the source holds no weights\nhelp: check that it is a state_dict")
    try:
        save_file(plain, path, metadata={"format": "pt"})
        follow_umask(path)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise ModelError(f"safetensors cannot hold these weights ({error})\nhelp: use --to torchscript") from error
    _same(plain, checkpoint.read(path, path.name))
    return len(plain)


def _plain(name: str, value: object) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise ModelError(
            f"{name}: is a {type(value).__name__}, not a tensor\n"
            "help: safetensors holds tensors alone; use --to torchscript, or drop get_extra_state"
        )
    if value.is_quantized or value.layout != torch.strided:
        raise ModelError(f"{name}: is quantized or sparse\nhelp: safetensors holds dense tensors; use --to torchscript")
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _same(written: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> None:
    for name, value in written.items():
        other = found.get(name)
        if other is None or other.dtype != value.dtype or not torch.equal(_bits(value), _bits(other)):
            raise ModelError(f"{name}: reads back otherwise than it was written\nhelp: check the disk, and try again")


def _bits(value: torch.Tensor) -> torch.Tensor:
    # As bytes: a NaN equals no other, itself included.
    return value.reshape(-1).view(torch.uint8)
