"""A perceptron so small that what a request costs is the server, which is what it is there to measure."""

from torch import Tensor, nn

from .seeded import seeded


class Mlp(nn.Module):
    """64 -> 128 -> 10 with one ReLU; the weights come from a fixed seed."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with seeded(seed):
            self.hidden = nn.Linear(64, 128)
            self.out = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [n, 64] to y [n, 10]."""
        y: Tensor = self.out(self.hidden(x).relu())
        return y
