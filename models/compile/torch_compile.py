"""torch.compile: one graph for each warmed shape."""

import torch
from torch import nn

from configs.backends import EAGER
from configs.schema import ModelConfig

from ..runtime.layout import Layout
from ..runtime.output_paths import returns_list_of_rows
from .build import Compiled
from .refused import Refused


def build(module: nn.Module, _: object, __: object, layout: Layout, config: ModelConfig) -> Compiled:
    """Return a forward that torch compiles when the warm-up first runs each shape."""
    if returns_list_of_rows(module):
        return Compiled(module, EAGER, (Refused("compile", "list_of_rows"),))
    if config.random:
        # Else its kernels draw other numbers than eager from the same seed, and could not be compared.
        torch._inductor.config.fallback_random = True
    # A dynamic graph is slower; beyond these limits a shape would run eagerly.
    graphs, limits = 2 * len(layout.shapes) + 8, torch._dynamo.config
    limits.cache_size_limit = max(graphs, limits.cache_size_limit)
    limits.accumulated_cache_size_limit = max(4 * graphs, limits.accumulated_cache_size_limit)
    # With `batch: whole` a request brings any number of rows, and with `pad: none` rows of any size: neither must wait
    # for a graph of its own.
    any_shape = layout.whole or not all(dim.padded for dim in layout.dims)
    return Compiled(torch.compile(module, dynamic=any_shape), "compile")
