"""Which tensors a network gives to `postprocess`: each that has a row for each row, as two runs of other sizes show.

The YAML then declares what the hook returns, so the names here are the network's own: those of a dict, dataclass or
named tuple with points between them, else `output`, or `output0`, `output1`, … by place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import ModelError
from ..runtime.output_paths import Path, Pick, Reading, is_numbers, leaves, names_in, shown, text
from ..signature import Tensor
from .declared_dtypes import datatype_of
from .output_binding import is_plain, lengths_in


@dataclass(frozen=True, slots=True)
class Returned:
    """What forward returned for so many rows."""

    result: Any
    rows: int


def network_outputs(one: Returned, other: Returned) -> tuple[Reading, tuple[Tensor, ...]]:
    """Return how to read what the network gives to the hook, and what that is.

    Raises:
        ModelError: nothing in it has a row for each row.
    """
    others = dict(leaves(other.result))
    named, found = names_in(one.result) is not None, [each for each in leaves(one.result) if each[1] is not None]
    picks, tensors, left_out = list[Pick](), list[Tensor](), list[str]()
    for index, (path, value) in enumerate(found):
        name = _name(path, named, index if len(found) > 1 else None)
        shape = _shape(value, one.rows, others.get(path), other.rows)
        if shape is None:
            left_out.append(name)
            continue
        by_row = not isinstance(value, torch.Tensor)
        tensors.append(Tensor(name, datatype_of(torch.as_tensor(value).dtype), (-1, *shape)))
        picks.append(Pick(name, path, by_row))
    if not picks:
        raise ModelError(
            f"postprocess: forward returned {shown(one.result)} for {one.rows} rows, and {shown(other.result)} for "
            f"{other.rows}: nothing in it has a row for each row\n"
            "help: return tensors whose first size counts the rows, and whose other sizes are always the same"
        )
    if twice := [each.name for each in tensors if [other.name for other in tensors].count(each.name) > 1]:
        raise ModelError(
            f"postprocess: forward returned {shown(one.result)}, of which two are called {twice[0]}\n"
            "help: return keys that are texts, without points in them"
        )
    by_row_paths = {pick.path for pick in picks if pick.by_row}
    lengths = () if named else tuple(lengths_in(one.result, by_row_paths))
    how = f"by postprocess, from {', '.join(f'{each.name} {each.datatype} {list(each.shape)}' for each in tensors)}"
    if left_out:
        how += f"; without {', '.join(left_out)}, whose sizes are not the rows and always the same"
    return Reading(tuple(picks), lengths, is_plain(one.result, picks), how), tuple(tensors)


def _name(path: Path, named: bool, index: int | None) -> str:
    return text(path) if named else "output" if index is None else f"output{index}"


def _shape(value: Any, rows: int, other: Any, other_rows: int) -> Sequence[int] | None:
    """Return the sizes besides the rows; None for what is no tensor of rows, or has other sizes in the other run."""
    if is_numbers(value):
        return () if is_numbers(other) and (len(value), len(other)) == (rows, other_rows) else None
    if not isinstance(value, torch.Tensor) or not isinstance(other, torch.Tensor) or value.dtype.is_complex:
        return None
    if value.shape[:1] != (rows,) or other.shape[:1] != (other_rows,) or value.shape[1:] != other.shape[1:]:
        return None
    return tuple(value.shape[1:])
