"""A recurrent cell that thinks longer about some rows than about others: the TorchScript trap.

Its loop ends when the last row halts, so a trace writes down the step count of one example and is wrong about every
row that needs more. Scripting keeps the loop. Halting is Graves' adaptive computation time, whose remainder makes the
output continuous: a rounding error cannot flip a whole step.
"""

import torch
from torch import Tensor, nn

from .seeded import seeded


class Recurrent(nn.Module):
    """GRU cell of width 32 over a constant input; a row halts once its halting weights sum to one."""

    def __init__(self, seed: int = 0, steps: int = 64) -> None:
        super().__init__()
        self.steps = steps
        with seeded(seed):
            self.cell = nn.GRUCell(16, 32)
            self.halt = nn.Linear(32, 1)
            self.out = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [n, 16] to y [n, 4]; rows never see each other."""
        hidden = x.new_zeros(x.size(0), 32)
        state = torch.zeros_like(hidden)
        left = x.new_ones(x.size(0), 1)
        active = left > 0
        step = 0
        while bool(active.any()) and step < self.steps:
            hidden = torch.where(active, self.cell(x, hidden), hidden)
            # 3 and 2 spread 1800 normal rows over 4 to 54 steps; at 12, a quarter ran into the cap.
            weight = torch.minimum(torch.sigmoid(3.0 * self.halt(hidden) - 2.0), left)
            state = torch.where(active, state + weight * hidden, state)
            left = left - torch.where(active, weight, torch.zeros_like(weight))
            active = left > 0
            step += 1
        y: Tensor = self.out(state)
        return y
