"""What an export leaves open: its rows and open dimensions, as torch writes them, and which of them torch narrows."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from ..runtime.dims import Dim, by_name
from ..runtime.layout import Layout
from ..signature import Tensor

_ROWS = "rows"
# The open axes of each input.
Shapes = tuple[dict[int, Any], ...]
_refine: Any = torch.export.dynamic_shapes.refine_dynamic_shapes_from_suggested_fixes


def opened_in(layout: Layout) -> dict[str, tuple[int, ...]]:
    """Return the warmed sizes of all that is open, by torch's names for it; () where any size may come."""
    rows = {_ROWS: () if layout.whole else layout.sizes} if layout.whole or len(layout.sizes) > 1 else {}
    return rows | {_name(dim): dim.sizes for dim in layout.dims if _is_open(dim)}


def shapes_of(layout: Layout, model_inputs: Sequence[Tensor]) -> Shapes:
    """Return the open axes of each input; one Dim in all of them says that their sizes are the same."""
    dims = {name: _dim(name, layout) for name in opened_in(layout)}
    names = {dim.name: _name(dim) for dim in layout.dims}
    rows = {0: dims[_ROWS]} if _ROWS in dims else {}
    return tuple(
        rows | {each.axis: dims[names[each.name]] for each in tensor.named if names.get(each.name) in dims}
        for tensor in model_inputs
    )


def refined(error: Exception, shapes: Shapes, opened: Mapping[str, tuple[int, ...]]) -> Shapes | None:
    """Return the shapes as torch suggests them, if every warmed size is among them; else None."""
    said = str(getattr(error, "msg", ""))
    if "Suggested fixes:" not in said:
        return None
    try:
        found: Shapes = _refine(said, shapes)
    except Exception:  # It reads what torch wrote for people, and may raise anything.
        return None
    held = all(_holds(name, _of(name, found, shapes), opened[name]) for name in opened)
    return found if held and narrowed(found, shapes, opened) else None


def narrowed(shapes: Shapes, first: Shapes, opened: Iterable[str]) -> tuple[str, ...]:
    """Return the open sizes of which not all are taken any more."""
    return tuple(
        shown_as(name) for name in opened if _sizes(_of(name, shapes, first)) != _sizes(_of(name, first, first))
    )


def takes_all(program: torch.export.ExportedProgram, layout: Layout, model_inputs: Sequence[Tensor]) -> bool:
    """Whether a program takes every warmed shape, as far as torch says: of a size of one it may think otherwise."""
    # Since torch 2.9. What runs is compared with eager in any case.
    guards: Any = getattr(program.module(), "_guards_fn", None)
    for rows, sizes in layout.shapes if guards is not None else ():
        of = by_name(layout.dims, sizes)
        shapes = [(rows, *tensor.sized(of)) for tensor in model_inputs]
        if any(size < 0 for shape in shapes for size in shape):
            continue
        try:
            guards(*(torch.empty(shape, device="meta") for shape in shapes))
        except AssertionError:
            return False
        except Exception:  # It may look at more than shapes.
            continue
    return True


def shown_as(name: str) -> str:
    """Return torch's name for an open size as people say it."""
    return "the number of rows" if name == _ROWS else name.removeprefix("dim_")


def _dim(name: str, layout: Layout) -> Any:
    if name == _ROWS:
        return torch.export.Dim(name, min=1, max=None if layout.whole else layout.sizes[-1])
    dim = next(each for each in layout.dims if _name(each) == name)
    # Bounded by what will come: a table of 512 positions takes no length without a limit.
    return torch.export.Dim(name, min=dim.sizes[0] if dim.padded else 1, max=dim.sizes[-1])


def _is_open(dim: Dim) -> bool:
    return len(dim.sizes) > 1 or (not dim.padded and dim.sizes[-1] > 1)


def _name(dim: Dim) -> str:
    # As it is, `E` or `N` would be read as what sympy calls so.
    return f"dim_{dim.name or 'length'}"


def _of(name: str, shapes: Shapes, first: Shapes) -> Any:
    """Return what torch is told of an open size."""
    for now, before in zip(shapes, first, strict=True):
        for axis, dim in before.items():
            if _root(dim) == name:
                return now[axis]
    return None


def _root(dim: Any) -> str:
    """Return the open size that a Dim of torch is of; `16*_dim_length` is of dim_length."""
    return str(dim.root.__name__).removeprefix("_") if hasattr(dim, "root") else str(getattr(dim, "__name__", ""))


def _sizes(dim: Any) -> tuple[Any, ...]:
    """Return what a Dim takes, to compare it: torch's own are equal only to themselves."""
    root = getattr(dim, "root", dim)
    return getattr(dim, "__name__", dim), getattr(root, "min", None), getattr(root, "max", None)


def _holds(name: str, dim: Any, sizes: Sequence[int]) -> bool:
    """Whether a suggested Dim takes these sizes, whatever the others are; none stands for any size."""
    if dim is None:  # No input has it.
        return True
    if _root(dim) != name:
        return False
    if not sizes:
        return not hasattr(dim, "root") and dim.min <= 1 and dim.max >= sys.maxsize - 1
    if not hasattr(dim, "root"):
        return bool(dim.min <= sizes[0] and sizes[-1] <= dim.max)
    reached = {dim.fn(each) for each in range(dim.root.min, min(dim.root.max, sizes[-1]) + 1)}
    return reached.issuperset(sizes)
