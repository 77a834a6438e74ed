"""Networks and hooks of requests that differ by parameters: labels, noise from a seed, rows that belong together."""

import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.signature import Rows


class Sums(nn.Module):
    """The sum of a row, times a factor; what it has besides is for no hook."""

    def __init__(self, factor: float = 1) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((2,), float(factor)))

    def forward(self, x: Tensor) -> dict[str, Any]:
        """Map x [n, 2] to total [n]."""
        return {"total": (x * self.weights).sum(1), "scale": self.weights.sum(), "none": None}


class Noisy(Sums):
    """Adds what torch draws."""

    def forward(self, x: Tensor) -> Any:
        """Map x [n, 2] to y [n, 2]."""
        return x * self.weights + torch.randn(x.shape)


class Mean(Sums):
    """The mean over all rows of a forward, for each."""

    def forward(self, x: Tensor) -> Any:
        """Map x [n, 2] to y [n, 2]."""
        return (x * self.weights).mean(0, keepdim=True).expand(x.shape)


class Labels:
    """Multiplies by the parameter `times`, and names the sum in the parameter `unit`; fails as the parameter `fail`."""

    mark = "one"

    def preprocess(self, rows: Rows, parameters: dict[str, Any]) -> Any:
        times = parameters.get("times", 1)
        if times == 0:
            raise ValueError("times must not be 0")
        return {"x": rows["x"] * np.float32(times)}

    def postprocess(self, rows: Rows, parameters: dict[str, Any]) -> Any:
        total, unit = rows["total"], parameters.get("unit", "m")
        found: dict[str, Any] = {"label": [f"{self.mark} {each:g} {unit}" for each in total], "score": total}
        if parameters.get("picture"):
            return {**found, "label": [b"\x89PNG \xff" + each.encode() for each in found["label"]]}
        match parameters.get("fail"):
            case "value":
                raise ValueError("a secret")
            case "rows":
                return {name: value[:-1] for name, value in found.items()}
            case "exit":
                sys.exit("a secret")
        return found


class Second(Labels):
    """Those of the canary."""

    mark = "two"
