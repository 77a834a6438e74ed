"""Watches a network while it is traced, for numbers that Python reads out of its data: there a trace freezes them.

torch.export alone cannot tell: a network may take another way while it is exported than while it is traced.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from .refused import RefusedCode
from .source_lines import SourceLine, innermost

_BRANCHES = ("__bool__", "__contains__", "equal", "allclose", "is_nonzero")
_READS = (
    *_BRANCHES,
    *("__int__", "__float__", "__complex__", "__index__", "__array__", "__dlpack__", "__repr__", "__format__"),
    *("item", "tolist", "numpy", "data_ptr", "storage", "untyped_storage"),
)
# What these return depends on sizes alone.
_OF_SIZES = {f"aten::{name}" for name in ("size", "dim", "numel", "len", "zeros_like", "ones_like", "empty_like")}
_OF_SIZES |= {f"aten::{name}" for name in ("full_like", "new_zeros", "new_ones", "new_full", "new_empty")}


class DataReads(TorchFunctionMode):
    """While it is entered, `first` becomes the first line that reads a number out of the inputs of the trace.

    `code`: whether it reads a truth or another value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first: SourceLine | None = None
        self.code: RefusedCode = "data_value"

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = getattr(function, "__name__", "")
        if self.first is None and name in _READS and any(map(_of_data, args)):
            self.first = innermost(traceback.extract_stack()[:-1])
            self.code = "data_branch" if name in _BRANCHES else "data_value"
        return function(*args, **(kwargs or {}))


def _of_data(given: Any) -> bool:
    """Whether a tensor of the trace depends on the numbers in an input, not on sizes and weights alone."""
    if not isinstance(given, torch.Tensor) or not torch._C._is_tracing():
        return False
    value_of: Any = getattr(torch._C, "_get_value_trace")  # noqa: B009  # The stubs do not have it.
    seen, todo = set[int](), [value_of(given)]
    while todo:
        value = todo.pop()
        if value.unique() in seen:
            continue
        seen.add(value.unique())
        node = value.node()
        if node.kind() == "prim::Param":
            return True
        if node.kind() != "prim::GetAttr" and node.kind() not in _OF_SIZES:
            todo += node.inputs()
    return False
