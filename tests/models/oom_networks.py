"""Networks that ask for more memory than any machine has."""

import torch
from torch import Tensor, nn

PETABYTES = 10**15


class Insatiable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.empty([1_000_000_000_000_000], dtype=torch.float32)[: x.shape[0]]
