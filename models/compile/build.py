"""Compiles a module with the backend that its config names."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from configs.backends import EAGER, backend_of
from configs.schema import ModelConfig

from ..errors import ModelError
from ..runtime.layout import Layout
from ..runtime.runner import Forward
from ..signature import Shape, Tensor
from .refused import Made, Refused

Staged = Sequence[torch.Tensor]
# Draws inputs of a warmed shape from a seed, on the device.
Draw = Callable[[Shape, int], Staged]


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


class Network(Protocol):
    """What an exporter and a tracer need of an Uncompiled."""

    @property
    def module(self) -> nn.Module: ...
    @property
    def probes(self) -> Sequence[Staged]: ...
    @property
    def model_inputs(self) -> Sequence[Tensor]: ...
    @property
    def outputs(self) -> Sequence[Tensor]: ...
    @property
    def layout(self) -> Layout: ...
    @property
    def draw(self) -> Draw | None: ...
    @property
    def minutes(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Uncompiled:
    """What a backend compiles: a module in eval, on the layout's device and in its precision.

    `probes` are inputs on the device, of several batch sizes, the largest first. `model_inputs` are the inputs in
    forward's order, `outputs` what it returns. `identity` is a digest of the network as it was loaded, None if it has
    none: then nothing that is compiled can be kept. `minutes`: compiling may take minutes. `draw` draws inputs of any
    warmed shape; without it only the probes can be compared. `publish`: what is made goes to the store too. `stale`:
    what is kept of it answers otherwise than the module.
    """

    module: nn.Module
    probes: Sequence[Staged]
    model_inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    layout: Layout
    config: ModelConfig
    identity: str | None = None
    minutes: bool = False
    draw: Draw | None = None
    publish: bool = False
    stale: bool = False


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
