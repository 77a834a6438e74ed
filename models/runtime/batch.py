"""A batch as it passes the steps of models.runtime.runner.Runner."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..signature import Shape
from .nan_check import NonfiniteRows

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class Batch:
    """One batch on its way, with the seconds that each step took.

    `seed`: of the forward's random numbers, if one was asked for.
    `finite` is a flag over all outputs, if they are checked. `nonfinite`, once finished, marks the rows with NaN or
    infinity; it is None if there are none.
    """

    shape: Shape
    rows: int
    inputs: "list[torch.Tensor]"
    ready: "torch.cuda.Event | None"
    collate_s: float
    copy_s: float
    seed: int | None = None
    outputs: "Sequence[torch.Tensor]" = ()
    done: "torch.cuda.Event | None" = None
    launched_s: float = 0
    forward_s: float = 0
    fetch_s: float = 0
    finite: "torch.Tensor | None" = None
    nonfinite: NonfiniteRows | None = None
