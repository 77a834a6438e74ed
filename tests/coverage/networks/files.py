"""Writes networks into files, as their authors publish them."""

import warnings

import torch
from safetensors.torch import save_file

from .tabular import Branches, Regression
from .vision import Cnn


def write(folder):
    save_file(Cnn().state_dict(), folder / "cnn.safetensors")
    rows = torch.export.Dim("rows", min=1, max=64)
    program = torch.export.export(Regression().eval(), (torch.zeros(2, 8),), dynamic_shapes=({0: rows},))
    torch.export.save(program, folder / "regression.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Branches().eval()).save(str(folder / "scripted.pt"))
        torch.jit.trace(Cnn().eval(), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).save(str(folder / "traced.pt"))
