"""Which tensors a network gives, where the config does not say: each that has a row for each row, as several runs show.

What a config with `postprocess` declares, the hook returns, so the network's own outputs are found here.

Their names are those of a dict, dataclass or named tuple with points between them, else `output`, or `output0`,
`output1`, … by place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import le
from typing import Any

import torch

from configs.named_size import NamedSize, axis_named

from ..errors import ModelError
from ..runtime.output_paths import Path, Pick, Reading, is_numbers, leaves, names_in, shown, text
from ..signature import Tensor, listed
from .declared_dtypes import datatype_of
from .output_binding import is_plain, lengths_in

COUNT = "count"
# The numbers that an open size of an output is tried with, as 4 after two strides of 2.
_MOST = 64


@dataclass(frozen=True, slots=True)
class Returned:
    """What forward returned for so many rows, where the open dimensions had these sizes, by name."""

    result: Any
    rows: int
    sizes: Mapping[str, int]


def network_outputs(
    one: Returned, others: Sequence[Returned], key: str = "postprocess"
) -> tuple[Reading, tuple[Tensor, ...]]:
    """Return how to read what the network gives, and what that is.

    Args:
        one: a run.
        others: runs of another number of rows, where there is one, each with another size of one open dimension.
        key: what the outputs are for, `postprocess`, or `outputs` where the config leaves them out.

    Raises:
        ModelError: nothing in it has a row for each row.
    """
    if _are_lists_of_rows([one, *others]):
        return _of_rows([one, *others], key)
    leaves_of = [dict(leaves(each.result)) for each in others]
    named, found = names_in(one.result) is not None, [each for each in leaves(one.result) if each[1] is not None]
    picks, tensors, left_out = list[Pick](), list[Tensor](), list[str]()
    counts = _counts(found, leaves_of, named)
    for index, (path, value) in enumerate(found):
        name = _name(path, named, index if len(found) > 1 else None)
        runs = [(one, value), *((each, of.get(path)) for each, of in zip(others, leaves_of, strict=True))]
        shape = _shape(value, runs, counts, key)
        if shape is None:
            left_out.append(name)
            continue
        sizes, open_sizes = shape
        by_row = not isinstance(value, torch.Tensor)
        tensors.append(Tensor(name, datatype_of(torch.as_tensor(value).dtype), (-1, *sizes), named=open_sizes))
        picks.append(Pick(name, path, by_row))
    if not picks:
        raise _nothing_found(key, one, others)
    if twice := [each.name for each in tensors if [other.name for other in tensors].count(each.name) > 1]:
        raise ModelError(
            f"{key}: forward returned {shown(one.result)}, of which two are called {twice[0]}\n"
            "help: return keys that are texts, without points in them"
        )
    by_row_paths = {pick.path for pick in picks if pick.by_row}
    lengths = () if named else tuple(lengths_in(one.result, by_row_paths))
    how = f"{_how(key)} {listed(tensors)}"
    if left_out:
        how += f"; without {', '.join(left_out)}, whose sizes are not the rows and always the same"
    return Reading(tuple(picks), lengths, is_plain(one.result, picks), how), tuple(tensors)


def _nothing_found(key: str, one: Returned, others: Sequence[Returned]) -> ModelError:
    told = ", and ".join(
        f"{shown(each.result)} for {each.rows} rows" + "".join(f", {name} {size}" for name, size in each.sizes.items())
        for each in (one, *others[:1])
    )
    computed = "; or list outputs, where a size may be computed, as (samples-400)//160+1" if one.sizes else ""
    return ModelError(
        f"{key}: forward returned {told}: no tensor in it has a row for each row and sizes that are known\n"
        "help: return tensors whose first size counts the rows, and whose other sizes are always the same, or "
        f"those of an open dimension{computed}"
    )


def _name(path: Path, named: bool, index: int | None) -> str:
    return text(path) if named else "output" if index is None else f"output{index}"


def _counts(
    found: Sequence[tuple[Path, Any]], others: Sequence[Mapping[Path, Any]], named: bool
) -> dict[str, list[int]]:
    """Return what may count entries of other outputs, by name, each with its largest of every run."""
    counts = {}
    for index, (path, value) in enumerate(found):
        runs = [value, *(each.get(path) for each in others)]
        if all(isinstance(run, torch.Tensor) and run.dim() == 1 and run.numel() and _is_whole(run) for run in runs):
            counts[_name(path, named, index if len(found) > 1 else None)] = [int(run.max()) for run in runs]
    return counts


def _is_whole(value: torch.Tensor) -> bool:
    return not value.is_floating_point() and not value.is_complex() and value.dtype != torch.bool


def _shape(
    value: Any, runs: Sequence[tuple[Returned, Any]], counts: Mapping[str, Sequence[int]], key: str
) -> tuple[tuple[int, ...], tuple[NamedSize, ...]] | None:
    """Return the sizes besides the rows, -1 for an open one, and the open ones; None for what is no tensor of rows, or
    has a size that follows neither a dimension nor a count.
    """
    if is_numbers(value):
        return ((), ()) if all(is_numbers(other) and len(other) == run.rows for run, other in runs) else None
    for run, other in runs:
        if not isinstance(other, torch.Tensor) or other.dtype.is_complex or other.dim() != value.dim():
            return None
        if other.shape[:1] != (run.rows,):
            return None
    sizes, open_sizes = list[int](), list[NamedSize]()
    for axis in range(1, value.dim()):
        size = value.shape[axis]
        if size and all(other.shape[axis] == size for _, other in runs):
            sizes.append(size)
            continue
        seen = [(run.sizes, int(other.shape[axis])) for run, other in runs]
        found = _follows(axis, seen, {each.name for each in open_sizes}) if any(each for _, each in seen) else None
        found = found or _counted(axis, seen, counts, key)
        if found is None:
            return None
        sizes.append(-1)
        open_sizes.append(found)
    return tuple(sizes), tuple(open_sizes)


def _counted(
    axis: int, seen: Sequence[tuple[Mapping[str, int], int]], counts: Mapping[str, Sequence[int]], key: str
) -> NamedSize | None:
    """Return what counts the entries of an axis in every run; raise ModelError where that may be one or another.

    The longest row is not padded: it has as many as there are. Where dimensions are open, that is known of the first
    run alone.
    """
    sizes = [size for _, size in seen]
    exact = 1 if seen[0][0] else len(sizes)
    may = [name for name, most in counts.items() if most[:exact] == sizes[:exact] and all(map(le, most, sizes))]
    if len(may) > 1:
        raise ModelError(
            f"{key}: forward returned sizes {sizes}, which {' and '.join(may)} count alike in the rows that were run\n"
            "help: list the outputs, and name the count in the shape of those whose entries it counts"
        )
    return axis_named(axis, may[0]) if may else None


def _follows(axis: int, seen: Sequence[tuple[Mapping[str, int], int]], taken: set[str]) -> NamedSize | None:
    """Return the dimension, or what arithmetic makes of one, that gives an axis its size in every run.

    One that no other axis has goes first.
    """
    names = sorted(seen[0][0], key=lambda name: name in taken)
    for form in _forms():
        for name in names:
            size = NamedSize(axis=axis, name=name, text=form.format(name))
            if all(size.of(sizes[name]) == given for sizes, given in seen):
                return size
    return None


def _forms() -> Iterator[str]:
    yield "{}"
    for number in range(1, _MOST + 1):
        yield from (f"{{}}/{number}", f"{{}}//{number}", f"{{}}*{number}", f"{{}}-{number}", f"{{}}+{number}")


def _are_lists_of_rows(runs: Sequence[Returned]) -> bool:
    """Whether every run returned a list with an entry for each row: dicts, or, as several runs show, tensors."""
    if not all(isinstance(run.result, list) and len(run.result) == run.rows > 0 for run in runs):
        return False
    entries = [each for run in runs for each in run.result]
    if all(isinstance(each, Mapping) for each in entries):
        return True
    return len({run.rows for run in runs}) > 1 and all(isinstance(each, torch.Tensor) for each in entries)


def _of_rows(runs: Sequence[Returned], key: str) -> tuple[Reading, tuple[Tensor, ...]]:
    """Read lists with an entry for each row; the size that differs from row to row is the count."""
    first = runs[0].result[0]
    rows = [dict(leaves(each)) for run in runs for each in run.result]
    named, found = names_in(first) is not None, [each for each in leaves(first) if isinstance(each[1], torch.Tensor)]
    shapes = {path: [tuple(row[path].shape) if path in row else () for row in rows] for path, _ in found}
    alike = {path: value for path, value in found if {len(shape) for shape in shapes[path]} == {value.dim()}}
    by_axis = {
        (path, axis): tuple(shape[axis] for shape in shapes[path])
        for path, value in alike.items()
        for axis in range(value.dim())
    }
    counts = next((sizes for sizes in by_axis.values() if len(set(sizes)) > 1), None)
    even = counts is None and _may_count(list(alike.values()))
    if even:
        counts = by_axis[next(iter(alike)), 0]
    picks, tensors = list[Pick](), list[Tensor]()
    for index, (path, value) in enumerate(alike.items()):
        counted = [axis for axis in range(value.dim()) if by_axis[path, axis] == counts and (axis == 0 or not even)]
        if any(len(set(by_axis[path, axis])) > 1 and axis not in counted for axis in range(value.dim())):
            continue
        name = _name(path, named, index if len(alike) > 1 else None)
        sizes = [-1 if axis in counted else size for axis, size in enumerate(value.shape)]
        open_sizes = tuple(axis_named(axis + 1, COUNT) for axis in counted)
        tensors.append(Tensor(name, datatype_of(value.dtype), (-1, *sizes), named=open_sizes))
        picks.append(Pick(name, path))
    if not picks:
        raise ModelError(
            f"{key}: forward returned {shown(runs[0].result)} for {runs[0].rows} rows\n"
            "help: return tensors of each row, of which one size may differ from row to row"
        )
    outputs = (*tensors, *([] if counts is None else [Tensor(COUNT, "INT64", (-1,))]))
    how = f"{_how(key)} {listed(tensors)} of each row"
    return replace(Reading(tuple(picks), (), plain=False, how=how), by_row=outputs), outputs


def _may_count(entry: Sequence[torch.Tensor]) -> bool:
    """Whether the first size of a row's tensors is a count, though all rows had the same.

    As many boxes as there may be, or none at all, is what a detector finds in noise.
    """
    firsts = {value.shape[0] if value.dim() else None for value in entry}
    return len(firsts) == 1 and firsts != {None} and (firsts == {0} or any(value.dim() > 1 for value in entry))


def _how(key: str) -> str:
    return "as found:" if key == "outputs" else f"by {key}, from"
