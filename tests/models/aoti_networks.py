"""Networks that AOTInductor compiles in seconds, each with what a test is about."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from models.compile import aoti


class Words(nn.Module):
    """Open rows and tokens; gives back a new tensor, its own input, and a part of its own weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(100, 64)
        self.layer = nn.Linear(64, 4)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = torch.tanh(self.embedding(ids)) * mask.unsqueeze(-1)
        return self.layer(hidden).sum(1), ids, self.layer.weight[:, :2]


class Long(nn.Module):
    """A forward of about a second on a core."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(1024, 1024)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(24):
            x = torch.tanh(self.layer(x))
        return x


@torch.library.custom_op("pitstop_tests::doubled", mutates_args=())
def doubled(x: Tensor) -> Tensor:
    """An operator that only Python knows."""
    return x * 2


@doubled.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class Custom(nn.Module):
    """Needs torch's proxy executor; returns a dict."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"two": doubled(x), "one": x + 1}


def exported(module: nn.Module, example: Sequence[Tensor], *axes: str, most: int = 640) -> torch.export.ExportedProgram:
    """Export a network whose first axes are open, by these names."""
    dims = {index: Dim(name, min=1, max=most) for index, name in enumerate(axes)}
    with torch.no_grad():
        return torch.export.export(module.eval(), tuple(example), dynamic_shapes=tuple(dims for _ in example))


def package(folder: Path, module: nn.Module, example: Sequence[Tensor], *axes: str, **options: Any) -> Path:
    """Compile a network, or fail."""
    path = folder / f"{type(module).__name__}.pt2"
    assert aoti.compile_package(exported(module, example, *axes, **options), path, freezing=True) is None
    return path
