"""The open dimensions of a model: which axis has which, the size of a batch that holds some rows, and what of an answer
is a request's own. No torch here, since an ingress replica runs without it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from configs.named_size import NamedSize
from configs.tensors import DimConfig

from ..signature import Array, Rows, Sizes, Tensor
from .padding import fill, round_up


@dataclass(frozen=True, slots=True)
class Dim:
    """An open dimension, with its sizes to warm and its padding; that of `lengths` has no name."""

    name: str
    config: DimConfig

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.config.sizes

    @property
    def padded(self) -> bool:
        """Whether rows are padded up to the sizes that are warmed."""
        return self.config.padded

    def holds(self, size: int) -> int:
        """Return the size of a batch for rows of this one: the next that is warmed, or, if not padded, the same."""
        return round_up(size, self.sizes) if self.padded else size


def dims_in(given: Mapping[str, DimConfig]) -> tuple[Dim, ...]:
    return tuple(Dim(name, each) for name, each in given.items())


def all_sizes(dims: Sequence[Dim]) -> list[Sizes]:
    """Return every combination of warmed sizes, from the smallest to the largest; one, (), where no size is open."""
    return list(product(*(dim.sizes for dim in dims)))


def by_name(dims: Sequence[Dim], sizes: Sizes) -> dict[str, int]:
    """Return the sizes of the open dimensions by the dimensions' names."""
    return dict(zip([dim.name for dim in dims], sizes, strict=True))


class OpenSizes:
    """Reads and cuts the open sizes of one model's arrays.

    Args:
        dims: the open dimensions, in the config's order.
        inputs: as they reach the model, or as a client sends them.
        outputs: of the model, where arrays of unlike sizes must be found.
    """

    def __init__(self, dims: Sequence[Dim], inputs: Sequence[Tensor], outputs: Sequence[Tensor] = ()) -> None:
        self.dims = tuple(dims)
        # Only rows with equal sizes in these dimensions share a forward.
        self.unpadded = tuple(place for place, dim in enumerate(self.dims) if not dim.padded)
        self._places = tuple(
            tuple((tensor.name, each.axis) for tensor in inputs for each in tensor.named if each.name == dim.name)
            for dim in dims
        )
        cut = {each.name for tensor in outputs for each in tensor.named}
        # Where a size is cut back to one, no row is padded, or one array has it twice, it must be one size.
        self._one = tuple(
            not dim.padded or dim.name in cut or len({name for name, _ in places}) < len(places)
            for dim, places in zip(self.dims, self._places, strict=True)
        )

    def __bool__(self) -> bool:
        return bool(self.dims)

    def own(self, arrays: Rows) -> Sizes:
        """Return the sizes of a request's arrays, the largest where its inputs differ."""
        return tuple(max([arrays[name].shape[axis] for name, axis in each], default=1) for each in self._places)

    def batch(self, parts: Iterable[Rows]) -> Sizes:
        """Return the sizes of a batch that holds these requests' rows."""
        return self.holds(largest([self.own(part) for part in parts]))

    def may_share(self, parts: Sequence[Rows]) -> bool:
        """Whether these requests' rows may share a forward: they are equal in each size that is not padded."""
        if not self.unpadded:
            return True
        first, *others = (self.own(part) for part in parts)
        return all(self.may_join(first, other) for other in others)

    def may_join(self, one: Sizes, other: Sizes) -> bool:
        """Whether rows of these sizes may share a forward."""
        return all(one[place] == other[place] for place in self.unpadded)

    def holds(self, sizes: Sizes) -> Sizes:
        return tuple(dim.holds(size) for dim, size in zip(self.dims, sizes, strict=True))

    def refused(self, arrays: Rows, even: bool = True, if_too_long: str = "shorten it") -> str | None:
        """Return the error text for arrays with a size that no batch has, or None.

        If they must be `even`, also for two sizes where they share one: else the smaller is padded to the larger.
        """
        for dim, places in zip(self.dims, self._places, strict=True):
            for name, axis in places:
                if (size := arrays[name].shape[axis]) > dim.sizes[-1]:
                    along = f"as {dim.name}" if dim.name else "along its open size"
                    return f"{name!r} has {size} {along}, this model takes at most {dim.sizes[-1]}: {if_too_long}"
            if even and (sentence := _uneven(dim, places, arrays)):
                several = len({name for name, _ in places}) > 1
                return f"{sentence}: pad the shorter ones, a mask with 0" if several else sentence
        return None

    def uneven(self, arrays: Rows) -> str | None:
        """Return the error text for arrays of a hook that differ in a size which must be one, or None."""
        checked = zip(self.dims, self._places, self._one, strict=True)
        return next((said for dim, places, one in checked if one and (said := _uneven(dim, places, arrays))), None)


def _uneven(dim: Dim, places: Iterable[tuple[str, int]], arrays: Rows) -> str | None:
    given: dict[str, list[int]] = {}
    for name, axis in places:
        given.setdefault(name, []).append(arrays[name].shape[axis])
    if len({size for sizes in given.values() for size in sizes}) < 2:
        return None
    shown = {name: sizes if len(sizes) > 1 else sizes[0] for name, sizes in given.items()}
    return f"{dim.name or 'the open size'} must be the same in every input; got {shown}"


@dataclass(frozen=True, slots=True)
class Cut:
    """Cuts an answer back to what is a request's own: padding goes, and what lies beyond the largest of its counts.

    A dimension that is none of the inputs' is a count; the output of its name has it for each row.
    """

    sizes: OpenSizes
    outputs: tuple[Tensor, ...]

    def __bool__(self) -> bool:
        return bool(self.named)

    @property
    def named(self) -> list[NamedSize]:
        """The open sizes of all outputs."""
        return [each for tensor in self.outputs for each in tensor.named]

    def __call__(self, arrays: Rows, answer: Mapping[str, Array]) -> dict[str, Array]:
        """Return the request's own part of an answer.

        Args:
            arrays: the request's, as they reached the model.
            answer: an array for each output, of the request's rows.
        """
        own = by_name(self.sizes.dims, self.sizes.own(arrays))
        return {
            tensor.name: answer[tensor.name][self._kept(tensor, own, answer)] if tensor.named else answer[tensor.name]
            for tensor in self.outputs
        }

    def _kept(self, tensor: Tensor, own: Mapping[str, int], answer: Mapping[str, Array]) -> tuple[slice, ...]:
        kept = [slice(None)] * len(tensor.shape)
        for each in tensor.named:
            if each.name in own:
                kept[each.axis] = slice(each.of(own[each.name]))
            elif (counts := answer[each.name]).size:
                kept[each.axis] = slice(int(counts.max()))
        return tuple(kept)


def counted(outputs: Sequence[Tensor]) -> Iterator[tuple[int, int, int]]:
    """Yield the place of each output with a count, the axis that it counts, and the place of the count."""
    places = {tensor.name: place for place, tensor in enumerate(outputs)}
    for place, tensor in enumerate(outputs):
        for each in tensor.named:
            if each.name in places:
                yield place, each.axis, places[each.name]


def rows_of(answer: Mapping[str, Array], outputs: Sequence[Tensor]) -> Iterator[dict[str, Array]]:
    """Yield each row of an answer, without the row dimension; of outputs with a count, as many entries as it says."""
    counts = list(counted(outputs))
    for row in range(len(next(iter(answer.values())))):
        own = {name: array[row] for name, array in answer.items()}
        for place, axis, by in counts:
            name = outputs[place].name
            own[name] = own[name][(*[slice(None)] * (axis - 1), slice(int(answer[outputs[by].name][row])))]
        yield own


def largest(several: Sequence[Sizes]) -> Sizes:
    """Return the largest of each size."""
    return several[0] if len(several) == 1 else tuple(map(max, zip(*several, strict=True)))


def below(arrays: Sequence[Array], pad: float = 0.0) -> Array:
    """Put rows below one another, each padded to the largest of every size; BYTES with empty ones."""
    tail = tuple(map(max, zip(*(array.shape[1:] for array in arrays), strict=True)))
    whole = np.empty((sum(map(len, arrays)), *tail), arrays[0].dtype)
    fill(whole, arrays, b"" if whole.dtype == object else pad)
    return whole
