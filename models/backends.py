"""The ways a forward can run, one function each, chosen by the config's `backend`."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from configs.schema import ModelConfig

from .layout import Layout
from .parity import tolerance_for
from .signature import Tensor
from .torchscript import Compiled, Staged, torchscript

Backend = Callable[[nn.Module, Sequence[Staged], Sequence[Tensor], Layout, ModelConfig], Compiled]


def compile_with(
    module: nn.Module, probes: Sequence[Staged], outputs: Sequence[Tensor], layout: Layout, config: ModelConfig
) -> Compiled:
    """Compile by the config's backend. `probes`: staged inputs on the device, several batch sizes."""
    return _BACKENDS[config.backend](module, probes, outputs, layout, config)


def _eager(module: nn.Module, *_: object) -> Compiled:
    return Compiled(module, "eager")


def _torchscript(
    module: nn.Module, probes: Sequence[Staged], outputs: Sequence[Tensor], layout: Layout, config: ModelConfig
) -> Compiled:
    if config.source.export is not None:
        return Compiled(module, "eager", "a .pt2 export is a graph already; TorchScript does not apply to it")
    tolerance = tolerance_for(config.precision, config.tolerance)
    made_from = f"{config.source.factory} {sorted(config.source.kwargs.items())}"
    return torchscript(module, probes, outputs, layout, config.torchscript, tolerance, made_from)


def _compile(module: nn.Module, _: object, __: object, layout: Layout, *___: object) -> Compiled:
    # One graph for each warmed shape, since a dynamic one is slower; beyond the limit a shape would run eagerly.
    graphs, limits = 2 * len(layout.shapes) + 8, torch._dynamo.config
    limits.cache_size_limit = max(graphs, limits.cache_size_limit)
    limits.accumulated_cache_size_limit = max(4 * graphs, limits.accumulated_cache_size_limit)
    return Compiled(torch.compile(module, dynamic=False), "compile")


_BACKENDS: dict[str, Backend] = {"eager": _eager, "torchscript": _torchscript, "compile": _compile}
