"""Where batches reach a model, in which precision and memory format, and in which padded shapes."""

from dataclasses import dataclass

import torch

from ..signature import Shape
from .dims import Dim, all_sizes


@dataclass(frozen=True, slots=True)
class Layout:
    """Where and how batches reach the model."""

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    sizes: tuple[int, ...]
    dims: tuple[Dim, ...]
    # Whether float inputs keep their declared dtypes, as a file with fixed dtypes needs.
    as_declared: bool = False
    # Whether weights of 16 bits become those of the layout's dtype.
    widened: bool = False
    # Whether a batch is one request's rows, which nothing may be added to: then `sizes` are only warmed and timed.
    whole: bool = False
    # As the config names it: rows of float32 may meet weights of int8.
    precision: str = "fp32"

    @property
    def shapes(self) -> list[Shape]:
        """Every shape to warm, largest first, so that the allocator reaches its peak at once."""
        return [(size, each) for size in reversed(self.sizes) for each in reversed(all_sizes(self.dims))]
