"""Writes networks into files, as their authors publish them."""

import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file

from .networks.tabular import Branches, Regression
from .networks.vision import Cnn, PerPixel


def write(folder: Path) -> None:
    save_file(Cnn().state_dict(), folder / "cnn.safetensors")
    halves = {name: each.bfloat16() for name, each in Regression().state_dict().items()}
    save_file(halves, folder / "bf16.safetensors")
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(Regression().eval(), (torch.zeros(2, 8),), dynamic_shapes=({0: rows},))
    torch.export.save(program, folder / "regression.pt2")
    sizes = {0: rows, 2: torch.export.Dim("height", min=2, max=64), 3: torch.export.Dim("width", min=2, max=64)}
    program = torch.export.export(PerPixel().eval(), (torch.zeros(2, 3, 8, 9),), dynamic_shapes=(sizes,))
    torch.export.save(program, folder / "pixels.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Branches().eval()).save(str(folder / "scripted.pt"))
        torch.jit.trace(Cnn().eval(), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).save(str(folder / "traced.pt"))
