"""Finds NaN and infinity in outputs: one flag a batch, on the device; rows are checked only if the flag is false."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..signature import Array

if TYPE_CHECKING:
    import torch

NonfiniteRows = npt.NDArray[np.bool_]


def all_finite(outputs: "Sequence[torch.Tensor]") -> "torch.Tensor | None":
    """Return a flag on the outputs' device, without waiting for it; None if no output is of floats."""
    import torch

    flags = [torch.isfinite(value).all() for value in outputs if value.is_floating_point()]
    return torch.stack(flags).all() if flags else None


def nonfinite_rows(outputs: Mapping[str, Array]) -> NonfiniteRows:
    """Return for each row whether any output has a NaN or an infinity in it; [rows]."""
    nonfinite = np.zeros(len(next(iter(outputs.values()))), np.bool_)
    for array in outputs.values():
        if array.dtype.kind == "f":
            nonfinite |= ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    return nonfinite
