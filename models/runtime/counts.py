"""Outputs with a size that only the data decides, as boxes in a picture: padded tensors, and a count for each row."""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import torch

from ..errors import ModelError
from ..signature import Array, Tensor
from .dims import counted


def without_rest(values: Sequence[torch.Tensor], outputs: Sequence[Tensor]) -> list[torch.Tensor]:
    """Return the outputs with zeros in place of what lies beyond each row's count."""
    kept = list(values)
    for place, axis, by in counted(outputs):
        value, counts = kept[place], values[by]
        index = torch.arange(value.shape[axis], device=value.device)
        beyond = index >= counts.reshape(-1, 1)
        beyond = beyond.reshape(
            len(counts), *(value.shape[axis] if each == axis else 1 for each in range(1, value.dim()))
        )
        kept[place] = value.masked_fill(beyond, 0)
    return kept


def own_entries(values: Sequence[torch.Tensor], outputs: Sequence[Tensor]) -> list[torch.Tensor]:
    """Return the outputs with zeros beyond each row's count, and as wide as the largest count."""
    kept = without_rest(values, outputs)
    for place, axis, by in counted(outputs):
        kept[place] = kept[place].narrow(axis, 0, int(values[by].max()) if values[by].numel() else 0)
    return kept


def check_counts(arrays: Mapping[str, Array], outputs: Sequence[Tensor]) -> None:
    """Raise ModelError if a row's count is negative, or more than the output has."""
    for place, axis, by in counted(outputs):
        counts, tensor = arrays[outputs[by].name], outputs[place]
        most = arrays[tensor.name].shape[axis]
        if counts.size and (int(counts.min()) < 0 or int(counts.max()) > most):
            wrong = counts[(counts < 0) | (counts > most)]
            raise ModelError(
                f"output {outputs[by].name!r} counts {int(np.ravel(wrong)[0])} of {tensor.name!r}, which has {most}\n"
                "help: return for each row how many of its entries are real"
            )


def stacked_rows(
    rows: Sequence[Mapping[str, torch.Tensor]], outputs: Sequence[Tensor], device: torch.device
) -> tuple[torch.Tensor, ...]:
    """Return a tensor per output of what forward returned for each row, padded with zeros, and the counts.

    Args:
        rows: of each row its outputs by name, each of the declared shape without the rows.
        outputs: as declared; the counts among them are found here.
        device: where the counts are made.

    Raises:
        ModelError: a row's outputs have two counts, or another number of dimensions than declared.
    """
    names = {tensor.name for tensor in outputs}
    counts: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        for tensor in outputs:
            if tensor.name not in row:
                continue
            value = _entries(tensor, row[tensor.name], names)
            if value.dim() != len(tensor.shape) - 1:
                raise ModelError(
                    f"output {tensor.name!r}: forward returned {list(value.shape)} for a row, the config says "
                    f"{list(tensor.shape[1:])}\nhelp: return the same structure for every row"
                )
            for each in tensor.named:
                if each.name not in names:
                    continue
                found, size = counts.setdefault(each.name, []), int(value.shape[each.axis - 1])
                if len(found) == place:
                    found.append(size)
                elif found[place] != size:
                    raise ModelError(
                        f"output {tensor.name!r}: forward returned {size} for a row, and {found[place]} of another "
                        f"output\nhelp: outputs that share the count {each.name} must have as many"
                    )
    return tuple(
        _below(tensor, [_entries(tensor, row[tensor.name], names) for row in rows], counts)
        if tensor.name not in counts
        else torch.tensor(counts[tensor.name], dtype=torch.int64, device=device)
        for tensor in outputs
    )


def _entries(tensor: Tensor, value: torch.Tensor, names: set[str]) -> torch.Tensor:
    """Return a row's entries; none of the declared sizes for `torch.tensor([])`, which has one dimension whatever they
    are.
    """
    counted_axes = {each.axis for each in tensor.named if each.name in names}
    sizes = [0 if axis in counted_axes else size for axis, size in enumerate(tensor.shape) if axis]
    return value.reshape(sizes) if value.shape == (0,) and counted_axes and min(sizes) == 0 else value


def _below(tensor: Tensor, values: Sequence[torch.Tensor], counts: Mapping[str, Sequence[int]]) -> torch.Tensor:
    counted_axes = {each.axis: max(counts[each.name]) for each in tensor.named if each.name in counts}
    shapes = {tuple(size for axis, size in enumerate(each.shape, 1) if axis not in counted_axes) for each in values}
    if len(shapes) > 1:
        raise ModelError(
            f"output {tensor.name!r}: forward returned rows that do not fit together: {sorted(shapes)}\n"
            "help: only the size that the config names as a count may differ from row to row"
        )
    dtype = _dtype(tensor, values)
    if not counted_axes:
        return torch.stack([each.to(dtype) for each in values])
    sizes = [counted_axes.get(axis, size) for axis, size in enumerate(values[0].shape, 1)]
    whole = values[0].new_zeros((len(values), *sizes), dtype=dtype)
    for row, value in zip(whole, values, strict=True):
        row[tuple(slice(size) for size in value.shape)] = value
    return whole


def _dtype(tensor: Tensor, values: Sequence[torch.Tensor]) -> torch.dtype:
    """Return a dtype that holds every row's; a row without entries has that of `torch.tensor([])`, which says nothing.

    Rows of another class are refused by the check of what was returned, first all together and then each by itself.
    """
    dtypes = [each.dtype for each in values if each.numel()]
    return reduce(torch.promote_types, dtypes) if dtypes else torch.from_numpy(np.empty(0, tensor.numpy)).dtype
