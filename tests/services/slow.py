"""A model whose forward takes as long as it is told, so that batching shows in the count of its forwards."""

import time

import torch
from torch import Tensor, nn


class Slow(nn.Module):
    """Sleeps, then doubles its input, or whatever `factor` says; a number below -1000 makes it fail."""

    def __init__(self, ms: float = 50, factor: float = 2.0) -> None:
        super().__init__()
        self.factor = factor
        self.ms = ms

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def _sleep(self) -> None:
        time.sleep(self.ms / 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [n, 1] to factor * x."""
        self._sleep()
        if bool((x < -1000).any()):
            raise RuntimeError("a secret of the model that no client may read")
        return self.factor * x
