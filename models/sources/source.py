"""Brings a model into memory: a factory with weights, a TorchScript file, a .pt2 export, or a pretrained directory.

A pickled module is refused: unpickling runs whatever code its author put there, and it breaks when that code moves.
"""

import inspect
from pathlib import Path

import torch
from torch import nn

from configs.schema import ModelConfig, SourceConfig

from ..errors import ArgumentsError, ModelError
from ..user_code import call, call_at_start, described, import_advice
from . import checkpoint, exported_program
from .files import fetch, shown
from .resolve import resolve
from .urls import without_secrets
from .weights_fit import candidates, fitting, keys_of

_FILL_HELP = "see that the network's own code takes what its state_dict() gives"


def load_for(config: ModelConfig) -> nn.Module:
    """Return the module of a completed config, as `load` does; a pretrained one's sizes are the config's."""
    if config.source.pretrained is None:
        return load(config.source)
    from .pretrained import network

    return network.load(config)


def load(source: SourceConfig) -> nn.Module:
    """Return the module as it was loaded: on the CPU, in its own mode."""
    if source.torchscript is not None:
        return _torchscript(fetch(source.torchscript, source.sha256), shown(source.torchscript))
    if source.exported_program is not None:
        return exported_program.load(fetch(source.exported_program, source.sha256), shown(source.exported_program))
    assert source.factory is not None
    module = _build(source.factory, source.kwargs)
    if source.weights is not None:
        location = shown(source.weights)
        content = checkpoint.read(fetch(source.weights, source.sha256), location, bool(source.sha256))
        # Copied, and the file closed: mapped weights would change, or crash, with the file.
        tensors = fitting(content, call(module.state_dict), location)
        # A network's own set_extra_state may raise anything.
        call_at_start(f"{location}: load_state_dict of {source.factory}", _FILL_HELP, module.load_state_dict, tensors)
    return module


def state_dict(path: Path, location: str) -> dict[str, torch.Tensor]:
    """Return a checkpoint's tensors without a network to compare: all of it, or the only entry with tensors."""
    content = checkpoint.read(path, location)
    entries = candidates(content)
    if len(entries) != 1:
        several = f"; weights are under {', '.join(map(repr, entries))}" if entries else ", none with weights"
        raise ModelError(
            f"{location}: {keys_of(content)}{several}\n"
            "help: name the network with --factory, so that the entry that fits is taken, or save one by itself: "
            "torch.save(checkpoint[KEY], PATH)"
        )
    [tensors] = entries.values()
    return tensors


def _build(factory: str, kwargs: dict[str, object]) -> nn.Module:
    make = resolve(factory)
    if isinstance(make, nn.Module):
        raise ModelError(
            f"{factory}: is an instance of {type(make).__name__}, not a factory\n"
            "help: name its class, or a function that returns it"
        )
    try:
        module = call(make, **kwargs)
    except ModelError:
        raise
    except Exception as error:  # The factory's own code may raise anything.
        raise _raised(factory, error, _takes(make, kwargs)) from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"{factory}: returned a {type(module).__name__}\nhelp: it must return a torch.nn.Module")
    return module


def _takes(make: object, kwargs: dict[str, object]) -> bool:
    """Whether a callable takes these arguments; unknown if it has no signature, as built-ins."""
    try:
        inspect.signature(make).bind(**kwargs)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _raised(factory: str, error: Exception, takes: bool) -> ModelError:
    if isinstance(error, TypeError) and not takes:
        return ArgumentsError(f"{factory}: {error}", "give its arguments as {arguments}")
    lines = without_secrets(described(error)).splitlines()
    said = lines[0][:300] if len(lines) == 1 else f"{lines[0][:300]} … {lines[-1][-300:]}"
    what, help_ = f"factory {factory} raised {said}", import_advice(error)
    if isinstance(error, OSError):
        help_ = "see that the files it reads are there; for from_pretrained, name a function of yours that calls it"
    if help_:
        return ModelError(f"{what}\nhelp: {help_}")
    return ArgumentsError(what, "correct the factory, or the arguments that {arguments} gives it")


def _torchscript(path: Path, location: str) -> nn.Module:
    try:
        return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-any-return, no-untyped-call]
    except RuntimeError as error:
        raise ModelError(
            f"{location}: not a TorchScript file\nhelp: make it with torch.jit.script(m).save(path)"
        ) from error
