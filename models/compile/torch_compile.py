"""torch.compile: one graph for each warmed shape."""

import torch
from torch import nn

from ..runtime.layout import Layout
from .build import Compiled


def build(module: nn.Module, _: object, __: object, layout: Layout, *___: object) -> Compiled:
    """Return a forward that torch compiles when the warm-up first runs each shape."""
    # A dynamic graph is slower; beyond these limits a shape would run eagerly.
    graphs, limits = 2 * len(layout.shapes) + 8, torch._dynamo.config
    limits.cache_size_limit = max(graphs, limits.cache_size_limit)
    limits.accumulated_cache_size_limit = max(4 * graphs, limits.accumulated_cache_size_limit)
    return Compiled(torch.compile(module, dynamic=False), "compile")
