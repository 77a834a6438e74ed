"""Compiles a module with the backend that its config names."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from configs.backends import BACKENDS, EAGER
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


# The `build` of a backend's module. The tensors are inputs on the device, of several batch sizes; the signature's
# outputs say what forward returns.
Build = Callable[[nn.Module, Sequence[Staged], Sequence[Tensor], Layout, ModelConfig], Compiled]


def compile_with(
    module: nn.Module, probes: Sequence[Staged], outputs: Sequence[Tensor], layout: Layout, config: ModelConfig
) -> Compiled:
    """Compile a prepared module; raise ModelError if the backend does not run on its device."""
    backend = BACKENDS[config.backend]
    if layout.device.type not in backend.devices:
        raise ModelError(
            f"backend: {backend.name} runs on {', '.join(backend.devices)}, and this model on {layout.device.type}\n"
            "help: change device, or choose another backend"
        )
    build: Build = importlib.import_module(backend.builder).build
    return build(module, probes, outputs, layout, config)
