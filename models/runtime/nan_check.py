"""Finds NaN and infinity in outputs: one flag a batch, on the device; rows are looked at only where it is off."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..signature import Array

if TYPE_CHECKING:
    import torch

Off = npt.NDArray[np.bool_]


def all_finite(outputs: "Sequence[torch.Tensor]") -> "torch.Tensor | None":
    """Return a flag on the outputs' device, not waited for; None where no output is of a float kind."""
    import torch

    flags = [torch.isfinite(value).all() for value in outputs if value.is_floating_point()]
    return torch.stack(flags).all() if flags else None


def rows_off(outputs: Mapping[str, Array]) -> Off:
    """Return, for each row of the outputs, whether any of them has a NaN or an infinity there; [rows]."""
    found = np.zeros(len(next(iter(outputs.values()))), np.bool_)
    for array in outputs.values():
        if array.dtype.kind == "f":
            found |= ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    return found
