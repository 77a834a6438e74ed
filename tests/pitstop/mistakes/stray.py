"""A network whose tensors stay on the CPU when it moves to a GPU, and a factory that fails."""

import torch
from torch import Tensor, nn


class Stray(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.scale = torch.ones(2)

    def forward(self, x: Tensor) -> Tensor:
        shift = torch.ones(2)
        y: Tensor = self.layer(x) * self.scale + shift - shift
        return y if y.sum().item() < 1e9 else -y


def broken() -> nn.Module:
    raise RuntimeError("the disk is on fire")
