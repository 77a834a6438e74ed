"""Watches a network while it runs eagerly, for what a recording of one run, a trace or an export, cannot show.

Neither the tracer's warnings nor an export tell all of it: torch.equal warns of nothing, a network may silence the
warnings, and its own `except` may swallow the error by which an export tells of a branch.
"""

import ast
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from ..user_code import call
from .build import Staged
from .data_reads import READS
from .refused import Refused
from .source_lines import NOT_THE_NETWORK, SourceLine, innermost

_PYTHON = tuple(f"{sysconfig.get_paths()[kind]}/" for kind in ("stdlib", "platstdlib"))
_PACKAGES = tuple(f"{sysconfig.get_paths()[kind]}/" for kind in ("purelib", "platlib"))
# These tell of the program, not of the numbers in a tensor: transformers calls a layer again after a TypeError.
_OF_THE_PROGRAM = {
    *("TypeError", "AttributeError", "NameError", "UnboundLocalError", "KeyError", "StopIteration"),
    *("ImportError", "ModuleNotFoundError", "NotImplementedError", "DeprecationWarning"),
}
_MOST_CALLS = 6
Span = tuple[int, int]


class RunWatch:
    """What the first calls of a network showed; `read`: the first line where Python reads a number of the data.

    `sizes`: a tensor's size followed the data. `refused`: why no recording of the network can be trusted.
    """

    def __init__(self) -> None:
        self.read: SourceLine | None = None
        self.sizes = False
        self._caught: SourceLine | None = None
        self._thread: SourceLine | None = None
        self._calls = 0
        self._squeezed: SourceLine | None = None
        # What was made of the inputs, in the call that is watched; True where its size followed the data.
        self._data: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def refused(self, way: str) -> Refused | None:
        for line, code in ((self._caught, "catches"), (self._thread, "threads"), (self._squeezed, "data_branch")):
            if line is not None:
                return Refused(way, code, "", 0.0, line.file, line.line, line.text)  # type: ignore[arg-type]
        return None

    def call(self, module: nn.Module, *inputs: torch.Tensor) -> Any:
        """Call a network; watch it, unless some calls were watched already."""
        self._calls += 1
        if self._calls > _MOST_CALLS:
            return call(module, *inputs)
        self._data = WeakIdKeyDictionary(dict.fromkeys(inputs, False))
        here, thread, start = sys._getframe(), threading.get_ident(), threading.Thread.start

        def started(each: threading.Thread) -> None:
            if threading.get_ident() == thread and self._thread is None:
                self._thread = innermost(traceback.extract_stack()[:-1])
            start(each)

        with patch.object(threading.Thread, "start", started), _Functions(self), _Operators(self, here):
            return call(module, *inputs)

    def runs(self, operator: Any, given: Sequence[Any], outer: FrameType) -> None:
        """Note what an operator tells before it runs: it may raise, which the network then catches."""
        if torch.Tag.data_dependent_output in operator.tags:
            self.reads(given)
        if self._squeezed is None and self._sized(given) and _may_drop_rows(operator, given):
            self._squeezed = innermost(traceback.extract_stack()[:-2])
        if self._caught is None and (frame := _inside_try(sys._getframe(2), outer)) is not None:
            self._caught = innermost(traceback.extract_stack(frame, limit=1))

    def made(self, operator: Any, given: Sequence[Any], made: Any) -> None:
        """Note what an operator made of the data, or changed by it."""
        if not self._of_data(given):
            return
        sized = torch.Tag.dynamic_output_shape in operator.tags and (operator is not _INDEX or _by_mask(given))
        for each in _tensors((made, given[:1] if operator._schema.is_mutable else ())):
            self.sizes |= sized or each.layout in _SPARSE
            self._data[each] = sized or self._sized(given)

    def reads(self, given: Sequence[Any]) -> None:
        """Note that Python reads a number now, if it is one of the data."""
        if self.read is None and self._of_data(given):
            self.read = innermost(traceback.extract_stack()[:-2]) or SourceLine("", 0, "in torch's own code")

    def _of_data(self, given: Any) -> bool:
        return any(each in self._data for each in _tensors(given))

    def _sized(self, given: Any) -> bool:
        return any(each in self._data and self._data[each] for each in _tensors(given))


def watched(module: nn.Module, probes: Sequence[Staged]) -> RunWatch:
    """Watch a network with each of these inputs."""
    watch = RunWatch()
    for probe in probes:
        with torch.no_grad():
            watch.call(module, *[each.clone() for each in probe])
    return watch


class _Functions(TorchFunctionMode):
    """Notes the reads that no operator does."""

    def __init__(self, watch: RunWatch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(function, "__name__", "") in READS:
            self._watch.reads(args)
        return function(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, watch: RunWatch, outer: FrameType) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._watch, self._outer = watch, outer

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self._watch.runs(func, args, self._outer)
        made = func(*args, **(kwargs or {}))
        self._watch.made(func, args, made)
        return made


_SPARSE = {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}
_INDEX = torch.ops.aten.index.Tensor


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of operators' arguments and results."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for each in values:
            yield from _tensors(each)


def _may_drop_rows(operator: Any, given: Sequence[Any]) -> bool:
    """Whether the first dimension goes if it is one: a size that follows the data is nearly always the first."""
    if not operator.name().startswith("aten::squeeze"):
        return False
    dims = given[1] if len(given) > 1 else 0
    return any(each in (0, -given[0].dim()) for each in (dims if isinstance(dims, list | tuple) else [dims]))


def _by_mask(given: Sequence[Any]) -> bool:
    return any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in given[1])


def _inside_try(frame: FrameType | None, outer: FrameType) -> FrameType | None:
    """Return the innermost frame of the network that would catch an error; None where there is none."""
    while frame is not None and frame is not outer:
        file = frame.f_code.co_filename
        if not file.startswith(NOT_THE_NETWORK) and (file.startswith(_PACKAGES) or not file.startswith(_PYTHON)):
            line = frame.f_lineno
            if any(first <= line <= last for first, last in _catching(file)):
                return frame
        frame = frame.f_back
    return None


@cache
def _catching(file: str) -> tuple[Span, ...]:
    """Return the lines of a file whose errors it catches, and goes on."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, ValueError, SyntaxError):
        return ()
    return tuple(
        (each.body[0].lineno, each.body[-1].end_lineno or each.body[-1].lineno)
        for each in ast.walk(tree)
        if (isinstance(each, ast.Try | ast.TryStar) and any(map(_goes_on, each.handlers)))
        or (isinstance(each, ast.With) and any(_suppresses(item.context_expr) for item in each.items))
    )


def _goes_on(handler: ast.ExceptHandler) -> bool:
    return not isinstance(handler.body[-1], ast.Raise) and _of_data([handler.type])


def _suppresses(made: ast.expr) -> bool:
    return isinstance(made, ast.Call) and _name(made.func) == "suppress" and _of_data(made.args)


def _of_data(kinds: Sequence[ast.expr | None]) -> bool:
    """Whether some of these exceptions may come of the numbers in a tensor; None stands for all."""
    each = [part for kind in kinds for part in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
    return any(_name(kind) not in _OF_THE_PROGRAM for kind in each)


def _name(node: ast.expr | None) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
