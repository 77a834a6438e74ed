"""One input as it is guessed so far, and what a layer's need changes in the guess.

Unknown sizes are primes, each of its own: the size that reaches a layer then tells which axis of the input it was.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from .entries import Entry

ROWS = 2
_PRIMES = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113)
_SINGLE = ("user", "item", "label", "class", "category", "movie", "product")
_DATATYPES = {torch.float32: "FP32", torch.float64: "FP64", torch.int64: "INT64", torch.uint8: "UINT8"}
_DATATYPES |= {torch.bool: "BOOL", torch.int32: "INT32", torch.float16: "FP16"}


@dataclass(slots=True)
class Guess:
    """An input. `sizes` are without the rows, and those of the axes in `known` are what a layer or an example says.

    `highest` and `padding` are of ids, and `limit` is the highest that a request may have, where they go unchanged into
    an embedding; `pixels` says that it is a picture of 0 to 255; `like` that it has the sizes of another input, as a
    mask has; `planes` how many of its axes are the sides of a picture.
    """

    name: str
    sizes: list[int]
    dtype: torch.dtype = torch.float32
    known: set[int] = field(default_factory=set)
    highest: int | None = None
    padding: int | None = None
    limit: int | None = None
    pixels: bool = False
    like: str | None = None
    planes: int = 0

    @property
    def datatype(self) -> str:
        return _DATATYPES[self.dtype]

    @property
    def unknown(self) -> list[int]:
        """The axes that nothing has told yet."""
        return [axis for axis in range(len(self.sizes)) if axis not in self.known]

    def drawn(self, rows: int = ROWS) -> torch.Tensor:
        """Return rows of it: numbers for values, ids for ids, ones for a mask."""
        shape = (rows, *self.sizes)
        if self.like is not None or self.dtype == torch.bool:
            return torch.ones(shape, dtype=self.dtype)
        if self.dtype.is_floating_point:
            return torch.randn(shape).to(self.dtype)
        low = 1 if self.padding == 0 else 0
        return torch.randint(low, max(low, 1 if self.highest is None else self.highest) + 1, shape, dtype=self.dtype)

    def meets(self, entry: Entry, direct: bool) -> bool:
        """Change the guess as a layer needs it; return whether it changed.

        `direct` says that this is the first layer, so that sizes tell which axis they were.
        """
        need = entry.need
        if need.ids is not None and direct and self.highest is None:
            self.dtype, self.highest, self.padding = torch.int64, need.ids - 1, need.padding
            if _is_single(self.name) and need.rank is None:
                self.sizes = []
            return True
        if need.rank is not None and need.rank != len(entry.shape):
            return self._grow(need.rank - len(entry.shape))
        if not direct or need.ids is not None:
            return False
        self.planes = 2 if need.rank == 4 else 0
        return self._size(entry, need.axis, need.size)

    def limited(self, entries: Sequence[Entry]) -> None:
        """Note the last row of the smallest embedding that takes it as it came, and draw none beyond."""
        rows = [each.need.ids for each in entries if each.need.ids is not None and each.unchanged == self.name]
        if rows and self.limit is None:
            self.limit = min(rows) - 1
        if self.limit is not None:
            self.highest = self.limit

    def _grow(self, more: int) -> bool:
        if len(self.sizes) + more < 1:
            return False
        self.sizes, self.known = fresh(len(self.sizes) + more), set()
        return True

    def _size(self, entry: Entry, axis: int, size: int) -> bool:
        came = entry.shape[axis]
        places = [each for each, own in enumerate(self.sizes) if own == came]
        if came == size or not places:
            self.known |= set(places[:1]) if came == size else set()
            return came != size and self._flat(came, size)
        self.sizes[places[-1]] = size
        self.known.add(places[-1])
        return True

    def _flat(self, came: int, size: int) -> bool:
        """Take an input that is flattened as a row of numbers."""
        if len(self.sizes) < 2 or math.prod(self.sizes) != came:
            return False
        self.sizes, self.known = [size], {0}
        return True


def _is_single(name: str) -> bool:
    """Whether ids of this name are one a row, as of a user, and not a row of tokens."""
    return name.lower().removesuffix("_id").removesuffix("_ids") in _SINGLE


def fresh(count: int, primes: Iterator[int] | None = None) -> list[int]:
    """Return so many sizes that no other axis has."""
    return [next(primes) for _ in range(count)] if primes else list(_PRIMES[:count])
