"""The weights of a network that nobody gave any: drawn anew by each process, unless they are kept."""

from pathlib import Path
from typing import Any

import numpy as np
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
        why = error.what if isinstance(error, ModelError) else first_line(error)
        # The folder is a draft's, and gone soon.
        why = " ".join(why.replace(str(path), path.name).split())
    path.unlink(missing_ok=True)
    return given, why


def _same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks hold the same numbers, bit by bit; extra state is not looked at."""
    left, right = _numbers(one), _numbers(other)
    return left.keys() == right.keys() and all(_equal(value, right[key]) for key, value in left.items())


def _numbers(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return weights, buffers, also those that no state_dict has, and what a module has as a plain attribute."""
    found = dict([*module.named_parameters(), *module.named_buffers()])
    for name, part in module.named_modules():
        for key, value in vars(part).items():
            if isinstance(value, torch.Tensor | float) or (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
                found[f"{name}.{key}"] = torch.as_tensor(value)
    return found


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    # NaN is unequal to itself, and weights that a class leaves empty may be NaN.
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
