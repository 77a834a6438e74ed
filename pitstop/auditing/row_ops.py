"""Whether forward loops over its rows: then it runs more operations for every row, and a batch gains little.

Counted on the model before compilation: a timing could not tell a loop from a network that fills a core with one row.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .built import Built
from .subject import Subject, arithmetic, stage

_FEWEST, _MOST = 2, 16


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations of a forward, those of TorchScript too."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def ops_per_row(subject: Subject, built: Built) -> float:
    """Return how many more operations forward runs for each row more; 0 where their number does not follow the rows."""
    most = min(_MOST, subject.sizes[-1])
    if most < 2 * _FEWEST:
        return 0.0
    inputs = stage(subject.arrays(most), built.layout)
    sizes = (_FEWEST, (_FEWEST + most) // 2, most)
    try:
        with arithmetic(built.config, fixed=False):
            few, some, many = (_ops(built, [each[:rows] for each in inputs]) for rows in sizes)
    except Exception:  # The network's own code: a forward that fails is told of elsewhere.
        return 0.0
    # A branch on the data changes the number too, but not with every row.
    rates = (some - few) / (sizes[1] - sizes[0]), (many - some) / (sizes[2] - sizes[1])
    return min(rates) if min(rates) >= 1 else 0.0


def _ops(built: Built, inputs: Sequence[torch.Tensor]) -> int:
    counter = _Counter()
    with counter, torch.inference_mode():
        built.module(*inputs)
    return counter.count
