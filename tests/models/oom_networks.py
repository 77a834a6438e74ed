"""Networks that ask for much memory: more than any machine has, or so much for each row."""

import torch
from torch import Tensor, nn

MIB_A_ROW = 256


class Insatiable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.empty([1_000_000_000_000_000], dtype=torch.float32)[: x.shape[0]]


class Hungry(nn.Module):
    """Doubles x [n, 1], and holds MIB_A_ROW for each row meanwhile."""

    def forward(self, x: Tensor) -> Tensor:
        scratch = torch.empty([x.shape[0], MIB_A_ROW, 1024, 1024], dtype=torch.uint8, device=x.device)
        return 2 * x + 0 * scratch[:, :1, 0, 0].fill_(0)
