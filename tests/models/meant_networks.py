"""Networks that are meant to draw, or to look at all rows of a request, and some that only say so."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.models.networks import Linear, StubbornDropout

__all__ = ["StubbornDropout"]


class Variational(nn.Module):
    """A small VAE: encodes to a mean and a deviation, draws, and decodes."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = Linear(4)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.decode = nn.Linear(2, 4)

    def forward(self, x: Tensor) -> Tensor:
        code = self.encode(x)
        mean, deviation = code[:, :2], torch.exp(0.1 * code[:, 2:])
        drawn: Tensor = self.decode(mean + deviation * torch.randn_like(mean))
        return drawn


class DrawsAndCounts(Linear):
    """Adds chance, which may be meant, and a count of its calls, which may not."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x) + torch.randn(1, 2) + 1e-3 * self.calls


class DrawsFromNumpy(Linear):
    """Draws where torch's seed does not reach."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + float(np.random.default_rng().normal())  # type: ignore[no-any-return]


class DrawsFromItsOwn(Linear):
    """Draws from a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.generator: Any = random.Random(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.generator.random()  # type: ignore[no-any-return]


class Contrastive(nn.Module):
    """How well each row tells itself from the others of its request."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x @ x.transpose(0, 1), dim=1).diagonal().unsqueeze(1)


class Graph(Linear):
    """Every row is a node, and hears the mean of all."""

    def forward(self, x: Tensor) -> Tensor:
        heard: Tensor = self.layer(x + x.mean(0, keepdim=True))
        told: Tensor = self.layer(x).sum(0, keepdim=True)
        return heard + told


class NoisySum(nn.Module):
    """Adds up its steps, and chance."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True) + torch.randn_like(x[:, :1])


class SumOfAll(nn.Module):
    """Every row beside the sum of all; padding does not matter."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True) + x.sum()


class MeanOfAll(nn.Module):
    """Every row beside the mean of all: padding does matter."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True) + x.mean()
