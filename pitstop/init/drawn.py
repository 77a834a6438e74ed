"""The weights of a network that nobody gave any: drawn anew by each process, unless they are kept."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from configs.schema import SourceConfig
from models.errors import ModelError, first_line
from models.sources import source

from ..export import checkpoint


def kept(given: dict[str, Any], module: nn.Module, path: Path) -> tuple[dict[str, Any], str]:
    """Write the weights of a network of a factory, where its next start would have others.

    Args:
        given: the source, without weights.
        module: the network that came of it.
        path: where the weights go.

    Returns:
        The source with the weights that were written, or as it was; and why they could not be, "" where they were or
        need not be.
    """
    try:
        if _same(module, source.load(SourceConfig.model_validate(given))):
            return given, ""
        checkpoint.write(module.state_dict(), path)
        found = {**given, "weights": str(path)}
        if _same(module, source.load(SourceConfig.model_validate(found))):
            return found, ""
        why = "its state_dict does not hold all of them"
    except Exception as error:  # The network's own state_dict may raise anything.
        why = str(error).partition("\n")[0] if isinstance(error, ModelError) else first_line(error)
    path.unlink(missing_ok=True)
    return given, why


def _same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have the same weights, bit by bit; extra state is not looked at."""
    left, right = one.state_dict(), other.state_dict()
    tensors = {key: value for key, value in left.items() if isinstance(value, torch.Tensor)}
    return left.keys() == right.keys() and all(_equal(value, right[key]) for key, value in tensors.items())


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    # NaN is unequal to itself, and weights that a class leaves empty may be NaN.
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
