"""Brings a model into memory: a factory with weights, a TorchScript file, or a .pt2 export.

A pickled module is refused: unpickling runs whatever code its author put there, and it breaks when that code moves.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from configs.schema import SourceConfig

from .errors import ModelError
from .files import fetch
from .resolve import resolve
from .user_code import call, call_at_start

_PICKLE_HELP = (
    "help: pickles run their author's code when they load, so only plain tensors are accepted. "
    "Where you trust the file, save its weights once:\n"
    "      safetensors.torch.save_file(torch.load(PATH, weights_only=False).state_dict(), 'model.safetensors')\n"
    "      then name the network as source.factory and that file as source.weights"
)


def load(source: SourceConfig) -> nn.Module:
    """Return the module as its author left it: on the CPU, in whatever mode it came."""
    if source.torchscript is not None:
        return _torchscript(fetch(source.torchscript, source.sha256), source.torchscript)
    if source.export is not None:
        return _export(fetch(source.export, source.sha256), source.export)
    assert source.factory is not None
    module = _build(source.factory, source.kwargs)
    if source.weights is not None:
        _fill(module, state_dict(fetch(source.weights, source.sha256), source.weights), source.weights)
    return module


def state_dict(path: Path, location: str) -> dict[str, torch.Tensor]:
    """Read safetensors or a state_dict; a checkpoint's `state_dict` entry and DataParallel's prefix are unwrapped."""
    tensors = _safetensors(path, location) if path.suffix == ".safetensors" else _weights_only(path, location)
    if tensors and all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def _safetensors(path: Path, location: str) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ModelError(f"{location}: not a safetensors file ({error})\nhelp: save it again") from error


def _weights_only(path: Path, location: str) -> dict[str, torch.Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, ModuleNotFoundError, AttributeError) as error:
        raise ModelError(f"{location}: holds a pickled object, not plain weights\n{_PICKLE_HELP}") from error
    except Exception as error:
        raise ModelError(f"{location}: torch cannot read it ({type(error).__name__})\nhelp: save it again") from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ModelError(f"{location}: holds a {type(found).__name__}, not a state_dict\n{_PICKLE_HELP}")
    return dict(found)


def _build(factory: str, kwargs: dict[str, object]) -> nn.Module:
    advice = "its arguments are those of source.kwargs; it must build the network and no more"
    module = call_at_start(f"factory {factory}", advice, resolve(factory), **kwargs)
    if not isinstance(module, nn.Module):
        raise ModelError(f"{factory}: returned a {type(module).__name__}\nhelp: it must return a torch.nn.Module")
    return module


def _fill(module: nn.Module, tensors: dict[str, torch.Tensor], location: str) -> None:
    expected = call(module.state_dict)
    missing = sorted(expected.keys() - tensors.keys())
    surplus = sorted(tensors.keys() - expected.keys())
    wrong = [
        f"{key} is {list(tensors[key].shape)}, the network has {list(expected[key].shape)}"
        for key in sorted(expected.keys() & tensors.keys())
        if tensors[key].shape != expected[key].shape
    ]
    if missing or surplus or wrong:
        found = [f"missing {_some(missing)}"] * bool(missing) + [f"unknown {_some(surplus)}"] * bool(surplus)
        found += [f"wrong shape: {_some(wrong)}"] * bool(wrong)
        raise ModelError(
            f"{location}: does not fit the network: {'; '.join(found)}\n"
            "help: check source.kwargs (number of classes, width) and that the checkpoint is this network's"
        )
    call(module.load_state_dict, tensors)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _torchscript(path: Path, location: str) -> nn.Module:
    try:
        return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-any-return, no-untyped-call]
    except RuntimeError as error:
        raise ModelError(
            f"{location}: not a TorchScript file\nhelp: make it with torch.jit.script(m).save(path)"
        ) from error


def _export(path: Path, location: str) -> nn.Module:
    try:
        return torch.export.load(str(path)).module()
    except Exception as error:
        raise ModelError(
            f"{location}: not a .pt2 export ({type(error).__name__})\n"
            "help: make it with torch.export.save(torch.export.export(model.eval(), args, dynamic_shapes=...), path)"
        ) from error
