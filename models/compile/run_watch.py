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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, wraps
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from ..errors import first_line
from ..user_code import call
from .build import Staged
from .refused import Refused, RefusedCode
from .source_lines import NOT_THE_NETWORK, SourceLine, innermost

_PYTHON = tuple(f"{sysconfig.get_paths()[kind]}/" for kind in ("stdlib", "platstdlib"))
_PACKAGES = tuple(f"{sysconfig.get_paths()[kind]}/" for kind in ("purelib", "platlib"))
# These tell of the program, not of the numbers in a tensor: transformers calls a layer again after a TypeError.
_OF_THE_PROGRAM = {
    *("TypeError", "AttributeError", "NameError", "UnboundLocalError", "KeyError", "StopIteration"),
    *("ImportError", "ModuleNotFoundError", "NotImplementedError", "DeprecationWarning"),
}
# Methods of a tensor that give its numbers to Python by no operator.
_READS = ("numpy", "tolist", "data_ptr", "storage", "untyped_storage", "__array__", "__dlpack__")
_SPARSE = {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}
_INDEX = torch.ops.aten.index.Tensor
_MOST_CALLS = 6


class RunWatch:
    """What the first calls of a network showed; `read`: the first line where Python reads a number of the data.

    `sizes`: a tensor's size followed the data. `refused`: why a recording of the network cannot be trusted.
    """

    def __init__(self) -> None:
        self.read: SourceLine | None = None
        self.sizes = False
        self._noted: dict[RefusedCode, SourceLine] = {}
        self._failed = ""
        self._calls = 0
        # What was made of the inputs, in the call that is watched; True where its size followed the data.
        self._data: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def refused(self, way: str) -> Refused | None:
        """Return why a trace (`way` is trace), or what a backend makes of an export, cannot be trusted."""
        if self._failed:
            return Refused(way, "not_compilable", self._failed)
        for code, line in self._noted.items():
            # An export judges these.
            if way == "trace" or code not in ("data_branch", "data_rank"):
                return Refused(way, code, "", 0.0, line.file, line.line, line.text)
        return None

    def call(self, module: nn.Module, *inputs: torch.Tensor) -> Any:
        """Call a network; watch it, unless some calls were watched already."""
        self._calls += 1
        if self._calls > _MOST_CALLS:
            return call(module, *inputs)
        given = [each.clone() for each in inputs]
        try:
            with self._watching(sys._getframe(), inputs):
                return call(module, *inputs)
        except Exception as error:
            # What fails without a watch too is the network's own error.
            returned = call(module, *given)
            self._failed = first_line(error)
            return returned

    @contextmanager
    def _watching(self, outer: FrameType, inputs: Sequence[torch.Tensor]) -> Iterator[None]:
        self._data = WeakIdKeyDictionary(dict.fromkeys(inputs, False))
        thread = threading.get_ident()

        def noting(owner: type, name: str, note: Callable[[Any], None]) -> Any:
            own = getattr(owner, name)

            @wraps(own)
            def noted(of: Any, *rest: Any, **keys: Any) -> Any:
                if threading.get_ident() == thread:
                    note(of)
                return own(of, *rest, **keys)

            return patch.object(owner, name, noted)

        def starts(_: Any) -> None:
            self._note("threads", outer)

        with ExitStack() as stack:
            # A mode of torch would see them too, but it switches off torch's fast paths: another way than eager's own.
            for name in _READS:
                stack.enter_context(noting(torch.Tensor, name, lambda of: self.reads([of], outer)))
            stack.enter_context(noting(threading.Thread, "start", starts))
            stack.enter_context(noting(ThreadPoolExecutor, "submit", starts))
            stack.enter_context(_Operators(self, outer))
            yield

    def runs(self, operator: Any, given: Sequence[Any], outer: FrameType) -> None:
        """Note what an operator tells before it runs: it may raise, which the network then catches."""
        if torch.Tag.data_dependent_output in operator.tags:
            self.reads(given, outer)
        elif _tells(operator) and self._of_data(given):
            # In C++, where it decides of a fast path, which neither an export nor another trace takes.
            self._note("data_branch", outer)
        if self._sized(given) and _may_drop_rows(operator, given):
            self._note("data_rank", outer)
        if "catches" not in self._noted and _inside_try(sys._getframe(2), outer):
            self._note("catches", outer)

    def made(self, operator: Any, given: Sequence[Any], made: Any) -> None:
        """Note what an operator made of the data, or changed by it."""
        if not self._of_data(given):
            return
        sized = torch.Tag.dynamic_output_shape in operator.tags and (operator is not _INDEX or _by_mask(given))
        changed = given[:1] if operator._schema.is_mutable else ()
        for each in _tensors((made, changed)):
            self.sizes |= sized or each.layout in _SPARSE
            self._data[each] = sized or self._sized(given)
        for each in _tensors(changed):
            if each._base is not None:
                self._data[each._base] = False

    def reads(self, given: Sequence[Any], outer: FrameType) -> None:
        """Note that Python reads a number now, if it is one of the data."""
        if self.read is None and self._of_data(given):
            self.read = _line_in(sys._getframe(1), outer)

    def _note(self, code: RefusedCode, outer: FrameType) -> None:
        self._noted.setdefault(code, _line_in(sys._getframe(1), outer))

    def _of_data(self, given: Any) -> bool:
        return any(each in self._data or each._base in self._data for each in _tensors(given))

    def _sized(self, given: Any) -> bool:
        return any(each in self._data and self._data[each] for each in _tensors(given))


def watched(module: nn.Module, probes: Sequence[Staged]) -> RunWatch:
    """Watch a network with each of these inputs."""
    watch = RunWatch()
    for probe in probes:
        with torch.no_grad():
            watch.call(module, *[each.clone() for each in probe])
    return watch


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


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of operators' arguments and results."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for each in values:
            yield from _tensors(each)


def _tells(operator: Any) -> bool:
    """Whether an operator returns a truth."""
    return [str(each.type) for each in operator._schema.returns] == ["bool"]


def _may_drop_rows(operator: Any, given: Sequence[Any]) -> bool:
    """Whether the first dimension goes if it is one: a size that follows the data is nearly always the first."""
    if not operator.name().startswith("aten::squeeze"):
        return False
    dims = given[1] if len(given) > 1 else 0
    return any(each in (0, -given[0].dim()) for each in (dims if isinstance(dims, list | tuple) else [dims]))


def _by_mask(given: Sequence[Any]) -> bool:
    return any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in given[1])


def _line_in(frame: FrameType | None, outer: FrameType) -> SourceLine:
    """Return the innermost line of the network, in the call that `outer` has made."""
    while frame is not None and frame is not outer:
        if _of_the_network(frame) and (line := innermost(traceback.extract_stack(frame, limit=1))) is not None:
            return line
        frame = frame.f_back
    return SourceLine("", 0, "")


def _of_the_network(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return not file.startswith(NOT_THE_NETWORK) and (file.startswith(_PACKAGES) or not file.startswith(_PYTHON))


def _inside_try(frame: FrameType | None, outer: FrameType) -> bool:
    """Whether a frame of the network would catch an error now, and go on."""
    while frame is not None and frame is not outer:
        if _of_the_network(frame) and frame.f_lineno in _catching(frame.f_code.co_filename):
            return True
        frame = frame.f_back
    return False


@cache
def _catching(file: str) -> frozenset[int]:
    """Return the lines of a file whose errors it catches, and goes on."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, ValueError, SyntaxError):
        return frozenset()
    found = set[int]()
    for each in ast.walk(tree):
        if (isinstance(each, ast.Try | ast.TryStar) and any(map(_goes_on, each.handlers))) or (
            isinstance(each, ast.With) and any(_suppresses(item.context_expr) for item in each.items)
        ):
            for line in each.body:
                found |= _lines(line) - {
                    number for part in ast.walk(line) if _is_later(part) for number in _lines(part)
                }
    return frozenset(found)


def _is_later(node: ast.AST) -> bool:
    """Whether code is only defined here, and runs where it is called."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _lines(node: Any) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _goes_on(handler: ast.ExceptHandler) -> bool:
    leaves = any(isinstance(each, ast.Return | ast.Continue | ast.Break) for each in ast.walk(handler))
    return (leaves or not isinstance(handler.body[-1], ast.Raise)) and _may_come_of_data([handler.type])


def _suppresses(made: ast.expr) -> bool:
    return isinstance(made, ast.Call) and _name(made.func) == "suppress" and _may_come_of_data(made.args)


def _may_come_of_data(kinds: Sequence[ast.expr | None]) -> bool:
    """Whether some of these exceptions may come of the numbers in a tensor; None stands for all."""
    each = [part for kind in kinds for part in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
    return any(_name(kind) not in _OF_THE_PROGRAM for kind in each)


def _name(node: ast.expr | None) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
