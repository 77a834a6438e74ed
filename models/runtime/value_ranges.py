"""Which whole numbers a model takes, by `low` and `high` of its inputs.

An id beyond an embedding is an error of one request on a CPU; on a GPU it may end the process, and so the requests of
others. No torch here, since an ingress replica runs without it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..signature import Array, Rows, Tensor
from .dims import Dim, OpenSizes, by_name


@dataclass(frozen=True, slots=True)
class Range:
    """What one input takes, the bounds included; `high` may be a dimension, whose size it is then.

    `bounded`: whether `high` was given. `pad`: what fills its rows beyond these bounds, which a client may do too.
    """

    name: str
    low: int
    high: int | str
    bounded: bool
    pad: int | None

    def describe(self) -> dict[str, int | str | None]:
        """Return it as in the model metadata."""
        return {"low": self.low, "high": self.high if self.bounded else None, "padding": self.pad}

    def refused(self, array: Array, high: int, first: int) -> str | None:
        """Return the error text for an array with a value that is neither in the range nor padding, or None."""
        if not array.size or (int(array.min()) >= self.low and int(array.max()) <= high):
            return None
        off = (array < self.low) | (array > high)
        if self.pad is not None:
            off &= array != self.pad
        if not off.any():
            return None
        place = np.unravel_index(int(off.argmax()), array.shape)
        takes = f"{self.low} to {high}" if self.bounded else f"{self.low} or more"
        of = f", the {self.high} of this request" if isinstance(self.high, str) else ""
        padding = "" if self.pad is None else f", and {self.pad} as padding"
        row = first + int(place[0])
        return f"{self.name!r} has {array[place]} in row {row}, this model takes {takes}{of}{padding}"


class ValueRanges:
    """Checks the whole numbers of one model's arrays.

    Args:
        inputs: as a client sends them, or as they reach the model.
        dims: the open dimensions of these inputs.
    """

    def __init__(self, inputs: Sequence[Tensor], dims: Sequence[Dim] = ()) -> None:
        self.ranges = tuple(_ranges(inputs, dims))
        named = any(isinstance(each.high, str) for each in self.ranges)
        self._sizes = OpenSizes(dims, inputs) if named else None

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def refused(self, arrays: Rows, first: int = 0) -> str | None:
        """Return the error text for the first value that its input does not take, or None; rows count from `first`."""
        sizes = {} if self._sizes is None else by_name(self._sizes.dims, self._sizes.own(arrays))
        for each in self.ranges:
            high = sizes[each.high] if isinstance(each.high, str) else each.high
            if sentence := each.refused(arrays[each.name], high, first):
                return sentence
        return None


def _ranges(inputs: Sequence[Tensor], dims: Sequence[Dim]) -> Iterator[Range]:
    """Yield those that refuse anything: a float's bounds only say what a start draws."""
    names, padded = {dim.name for dim in dims}, {dim.name for dim in dims if dim.padded}
    for tensor in inputs:
        if tensor.numpy.kind not in "iu":
            continue
        least, most = int(np.iinfo(tensor.numpy).min), int(np.iinfo(tensor.numpy).max)
        # Before a preprocess, an input has none of the dimensions.
        given = None if isinstance(tensor.high, str) and tensor.high not in names else tensor.high
        # Where only high is given, a start draws from 0 on.
        low = int(tensor.low) if tensor.low is not None else least if given is None else 0
        high = most if given is None else given if isinstance(given, str) else int(given)
        pad = int(tensor.pad) if any(each.name in padded for each in tensor.named) else None
        if pad is not None and low <= pad and (isinstance(high, str) or pad <= high):
            pad = None
        if low > least or isinstance(high, str) or high < most:
            yield Range(tensor.name, low, high, given is not None, pad)
