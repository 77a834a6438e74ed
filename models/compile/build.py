"""Compiles a module with the backend that its config names."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from configs.backends import EAGER, backend_of
from configs.schema import ModelConfig

from ..errors import ModelError
from ..runtime.layout import Layout
from ..runtime.runner import Forward
from ..signature import Tensor
from .refused import Made, Refused

Staged = Sequence[torch.Tensor]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A forward, how it was made (eager, script, trace, or its backend's name), and the ways that were refused."""

    forward: Forward
    how: str
    refused: tuple[Refused, ...] = ()
    made: Made = "now"

    @property
    def eager(self) -> bool:
        return self.how == EAGER


@dataclass(frozen=True, slots=True)
class Uncompiled:
    """What a backend compiles: a module in eval, on the layout's device and in its precision.

    `probes` are inputs on the device, of several batch sizes, the largest first. `model_inputs` are the inputs in
    forward's order, `outputs` what it returns. `identity` is a digest of the network as it was loaded, None if it has
    none: then nothing that is compiled can be kept. `minutes`: compiling may take minutes.
    """

    module: nn.Module
    probes: Sequence[Staged]
    model_inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    layout: Layout
    config: ModelConfig
    identity: str | None = None
    minutes: bool = False


# The `build` of a backend's module.
Build = Callable[[Uncompiled], Compiled]


def compile_with(given: Uncompiled) -> Compiled:
    """Compile a prepared module; raise ModelError if the backend does not run on its device."""
    backend, device = backend_of(given.config.backend), given.layout.device.type
    if device not in backend.devices:
        raise ModelError(
            f"backend: {backend.name} runs on {', '.join(backend.devices)}, and this model on {device}\n"
            "help: change device, or choose another backend"
        )
    build: Build = importlib.import_module(backend.builder).build
    return build(given)
