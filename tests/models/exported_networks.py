"""Networks for an exporter and a tracer, each with one thing that Python decides while it runs."""

import functools
import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from tests.models.networks import Linear


class DataBranch(Linear):
    """Branches on a number of its data."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if float(x.sum()) > 0:
            y = -y
        return y


class BranchesUnlessExported(Linear):
    """Takes another way while it is compiled, as parts of transformers do: an export alone shows no branch."""

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_compiling() and bool((x > 0).all()):
            return -super().forward(x)
        return super().forward(x)


class Equals(Linear):
    """Asks by a function that returns a Python bool, which the tracer does not warn of."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        assert bool(x.shape[1] == 4)
        if not torch.compiler.is_compiling() and torch.equal(x, x.abs()):
            return -y
        return y


class Detector(nn.Module):
    """A greedy suppression, as detectors end with."""

    def forward(self, x: Tensor) -> Tensor:
        rows = []
        for row in x:
            kept: list[int] = []
            for each in row.argsort(descending=True).tolist():
                if all(abs(float(row[each] - row[other])) > 0.5 for other in kept):
                    kept.append(each)
            rows.append(row[kept[0]] + len(kept))
        return torch.stack(rows)[:, None].repeat(1, 2)


class Item(Linear):
    """Reads a number without a branch: an export keeps it, a trace does not."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * x.abs().max().item()


class SizeBranch(Linear):
    """Branches on a size, always the same way for what requests bring."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] > 1000:
            return super().forward(x) * 0
        return super().forward(x)


class RowsDecide(Linear):
    """Branches on the number of rows within what requests bring."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (2.0 if x.shape[0] > 4 else 1.0)


class SizeArithmetic(nn.Module):
    """Halves a size in Python: it exports, and a trace has the half of its example's."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True).repeat(1, 2) + math.floor(x.shape[1] / 2) - x.shape[1] // 2


class SixteenEach(nn.Module):
    """Takes lengths that are multiples of 16."""

    def forward(self, x: Tensor) -> Tensor:
        assert bool(x.shape[1] % 16 == 0)
        summed: Tensor = x.reshape(x.shape[0], -1, 16).sum(1)
        return summed[:, :2]


class Buffered(Linear):
    """Branches on what is no input."""

    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(8.0))
        self.cached: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        assert bool(x.shape[1] == 4)
        if self.cached is None:
            self.cached = self.table[:4] * 2
        return super().forward(x + self.cached)


class KeywordsOnly(nn.Module):
    def forward(self, *, x: Tensor) -> Tensor:
        return x[:, :2] * 2


class Variadic(nn.Module):
    def forward(self, *inputs: Tensor) -> Tensor:
        assert bool(inputs[0].shape[1] == 4)
        return inputs[0][:, :2] * 2


class AsDict(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        assert bool(x.shape[1] == 4)
        return {"other": x, "y": x[:, :2] * 2}


class AsList(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        assert bool(x.shape[1] == 4)
        return [x[:, :2] * 2]


class ListOfRows(nn.Module):
    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        return [{"y": row[row > 0]} for row in x]


class Numpy(Linear):
    """Leaves torch, where no exporter follows."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.from_numpy(x.numpy() * 0))


class Endless(Linear):
    """Takes forever while it is compiled."""

    def forward(self, x: Tensor) -> Tensor:
        assert bool(x.shape[1] == 4)
        while torch.compiler.is_compiling():
            x = x + 1
            time.sleep(0.01)
        return super().forward(x)


class Cached(Linear):
    """Keeps a table by its size in a cache that is no part of the module."""

    def forward(self, x: Tensor) -> Tensor:
        assert bool(x.shape[1] == 4)
        return super().forward(x + table(4))


@functools.cache
def table(size: int) -> Tensor:
    return torch.arange(float(size))


def tiny(kind: str) -> Any:
    """Return a network of transformers with random weights."""
    import transformers

    torch.manual_seed(0)
    small: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    if kind == "bert":
        sizes: dict[str, Any] = {"vocab_size": 50, "max_position_embeddings": 32, "num_labels": 2}
        return transformers.BertForSequenceClassification(transformers.BertConfig(**small, **sizes))
    sizes = {"image_size": 16, "patch_size": 8, "num_labels": 2}
    return transformers.ViTForImageClassification(transformers.ViTConfig(**small, **sizes))
