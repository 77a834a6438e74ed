"""Where batches reach a model, in which precision and memory format, and in which padded shapes."""

from dataclasses import dataclass

import torch

from ..signature import Shape


@dataclass(frozen=True, slots=True)
class Layout:
    """Where and how batches reach the model."""

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    sizes: tuple[int, ...]
    lengths: tuple[int, ...]
    # Whether float inputs keep the dtype that is declared for each, as in a file with its dtypes written in.
    as_declared: bool = False

    @property
    def shapes(self) -> list[Shape]:
        """Every shape to warm, largest first: the allocator then meets its peak at once."""
        return [(size, length) for size in reversed(self.sizes) for length in reversed(self.lengths or (0,))]
