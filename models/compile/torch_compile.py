"""torch.compile: one graph for each warmed shape."""

import torch

from configs.backends import EAGER

from ..runtime.output_paths import returns_list_of_rows
from .build import Compiled, Uncompiled
from .refused import Refused


def build(given: Uncompiled) -> Compiled:
    """Return a forward that torch compiles when the warm-up first runs each shape."""
    module, layout = given.module, given.layout
    if returns_list_of_rows(module):
        return Compiled(module, EAGER, (Refused("compile", "list_of_rows"),))
    if given.config.random:
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
