"""A model whose every answer is known: y = slope * x + intercept, with all three numbers of one version.

Version v has slope v + 1 and intercept v and says so, hence an answer from half-loaded weights gives itself away.
It misbehaves when a file asks it to; the replica that removes the file is the one that does.
"""

import time
from pathlib import Path

import torch
from torch import Tensor, nn

HANG, NAN, OOM = "hang", "nan", "oom"
OOM_ROWS = 4


class Line(nn.Module):
    """Maps x [n, 1] to y [n, 1] and to the version [n, 1] of the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))
        self.intercept = nn.Parameter(torch.zeros(1))
        self.version = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.slope * x + self.intercept, self.version.expand_as(x)


class SlowLine(Line):
    """A Line that takes `ms` for a forward of any size, and obeys the files in the folder `trouble`."""

    def __init__(self, ms: float, trouble: str) -> None:
        super().__init__()
        self.ms = ms
        self.trouble = Path(trouble)
        self.broken = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        time.sleep(self.ms / 1000)
        if _taken(self.trouble / HANG):
            time.sleep(3600)
        # Not taken: a second process on a GPU leaves room for nobody.
        if len(x) > OOM_ROWS and (self.trouble / OOM).exists():
            raise torch.OutOfMemoryError("CUDA out of memory, as this test has it")
        self.broken = self.broken or _taken(self.trouble / NAN)
        y, version = super().forward(x)
        return (y * torch.nan if self.broken else y), version


def weights(version: int) -> dict[str, Tensor]:
    """Return the state_dict of a version."""
    numbers = {"slope": version + 1, "intercept": version, "version": version}
    return {name: torch.tensor([float(number)]) for name, number in numbers.items()}


def expected(version: int, x: float) -> float:
    """Return what a version answers; exact in float32 for whole x below a million."""
    return (version + 1) * x + version


def _taken(path: Path) -> bool:
    """Remove a file; tell whether it was there, which only one process is told."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
