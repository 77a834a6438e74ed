"""Exports a network by torch.export with its rows and open dimensions open, or says why that cannot be done.

What exports has no Python branch on its data: this is a proof, where the comparison of samples is only evidence. An
export may still read numbers out of its data; a trace would freeze them, so `Exported.frozen` names the first.
"""

import logging
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.overrides import TorchFunctionMode

from ..errors import first_line
from ..runtime.dims import Dim
from ..runtime.layout import Layout
from ..runtime.output_paths import as_graph, returns_list_of_rows
from ..user_code import UserCodeError, call
from .build import Network, Staged
from .refused import Refused
from .source_lines import SourceLine, innermost, innermost_in

EXPORT = "export"
# A start waits so long for the forward to be recorded, `pitstop build` so long.
_START_S, _BUILD_S = 60.0, 600.0
# Each of torch's suggestions may lead to another one.
_TRIES = 4
_ROWS = "rows"
_LOGGERS = ("torch.export._trace", "torch.fx.experimental.symbolic_shapes", "torch._export.non_strict_utils")
_ITEM = {getattr(torch.ops.aten, name).default for name in ("item", "_local_scalar_dense")}
_SHAPES = {torch.ops.aten.sym_size.int, torch.ops.aten.sym_numel.default, torch.ops.aten.sym_stride.int}


@dataclass(frozen=True, slots=True)
class Exported:
    """A program for every warmed shape. `frozen`: what a trace would freeze, though it exports; None if nothing.

    `narrowed` are the open sizes of which it takes only some, multiples of 16 say: all that are warmed, but perhaps
    not all that requests bring where a dimension is not padded.
    """

    program: torch.export.ExportedProgram
    frozen: Refused | None = None
    narrowed: tuple[str, ...] = ()


class _TooLongError(Exception):
    """The forward takes longer to record than a start may wait."""


def exported(given: Network) -> Exported | Refused:
    """Export the network with everything open that requests leave open."""
    if returns_list_of_rows(given.module):
        return Refused(EXPORT, "list_of_rows")
    module, example, opened = as_graph(given.module), _example(given), _opened(given.layout)
    first = shapes = _shapes(given, {name: _dim(name, given.layout) for name in opened})
    deadline = time.monotonic() + (_BUILD_S if given.minutes else _START_S)
    for _ in range(_TRIES):
        try:
            program = _program(module, example, shapes, deadline)
        except Exception as error:  # The exporter raises a dozen unrelated types; each means "not exportable".
            refined = _refined(error, shapes, opened)
            if refined is None or refined == shapes:
                return _refused(error, opened)
            shapes = refined
        else:
            narrowed = tuple(name for name in opened if _of(name, shapes, first) is not _of(name, first, first))
            return Exported(program, _frozen(program), tuple(map(_shown, narrowed)))
    return Refused(EXPORT, "fixed_size", "an open size")


def _program(module: torch.nn.Module, example: Staged, shapes: Any, deadline: float) -> torch.export.ExportedProgram:
    with torch.no_grad(), _quiet(), _Deadline(deadline):
        return call(torch.export.export, module, tuple(example), dynamic_shapes=shapes, strict=False)


def _opened(layout: Layout) -> dict[str, tuple[int, ...]]:
    """Return the warmed sizes of all that is open, by torch's names for it; () where any size may come."""
    rows = {_ROWS: () if layout.whole else layout.sizes} if layout.whole or len(layout.sizes) > 1 else {}
    return rows | {_name(dim): dim.sizes for dim in layout.dims if len(dim.sizes) > 1}


def _name(dim: Dim) -> str:
    # As it is, `E` or `N` would be read as what sympy calls so.
    return f"dim_{dim.name or 'length'}"


def _shown(name: str) -> str:
    return "the number of rows" if name == _ROWS else name.removeprefix("dim_")


def _dim(name: str, layout: Layout) -> Any:
    if name == _ROWS:
        return torch.export.Dim(name, min=1, max=None if layout.whole else layout.sizes[-1])
    dim = next(each for each in layout.dims if _name(each) == name)
    # Bounded by what will come: a table of 512 positions takes no length without a limit.
    return torch.export.Dim(name, min=dim.sizes[0] if dim.padded else 1, max=dim.sizes[-1])


def _shapes(given: Network, dims: Mapping[str, Any]) -> tuple[dict[int, Any], ...]:
    """Return the open axes of each input; one Dim in all of them says that their sizes are the same."""
    names = {dim.name: _name(dim) for dim in given.layout.dims}
    rows = {0: dims[_ROWS]} if _ROWS in dims else {}
    return tuple(
        rows | {each.axis: dims[names[each.name]] for each in tensor.named if names.get(each.name) in dims}
        for tensor in given.model_inputs
    )


def _example(given: Network) -> Staged:
    """Return inputs in which every open size is two or more: torch takes a size of one for a constant."""
    layout = given.layout
    if given.draw is None:
        return max(given.probes, key=lambda probe: sum(each.numel() for each in probe))
    rows = max(2, layout.sizes[-1]) if layout.whole else layout.sizes[-1]
    return given.draw((rows, tuple(dim.sizes[-1] for dim in layout.dims)), 0)


def _refined(error: Exception, shapes: Any, opened: Mapping[str, tuple[int, ...]]) -> Any | None:
    """Return the shapes as torch suggests them, if every warmed size is among them; else None."""
    said = str(getattr(error, "msg", ""))
    if "Suggested fixes:" not in said:
        return None
    try:
        with _quiet():
            refined = torch.export.dynamic_shapes.refine_dynamic_shapes_from_suggested_fixes(said, shapes)
    except Exception:  # It reads what torch wrote for people, and may raise anything.
        return None
    return refined if all(_holds(name, _of(name, refined, shapes), opened[name]) for name in opened) else None


def _of(name: str, shapes: Any, first: Any) -> Any:
    """Return what torch is told of an open size."""
    for now, before in zip(shapes, first, strict=True):
        for axis, dim in before.items():
            if _root(dim) == name:
                return now[axis]
    return None


def _root(dim: Any) -> str:
    """Return the open size that a Dim of torch is of; `16*_dim_length` is of dim_length."""
    return str(dim.root.__name__).removeprefix("_") if hasattr(dim, "root") else str(getattr(dim, "__name__", ""))


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


def _refused(error: Exception, opened: Mapping[str, tuple[int, ...]]) -> Refused:
    chain = list(_chain(error.raised if isinstance(error, UserCodeError) else error))
    for each in chain:
        if "DataDependent" in type(each).__name__ or "data-dependent" in str(each):
            return _at("data_branch", innermost(traceback.extract_tb(each.__traceback__)), first_line(each))
    said = str(error)
    if any(word in said for word in ("Constraints violated", "pecializ")):
        fixed = [_shown(name) for name in opened if name in said]
        return Refused(EXPORT, "fixed_size", " and ".join(fixed) or "an open size")
    if any(isinstance(each, _TooLongError) for each in chain):
        return Refused(EXPORT, "too_long", "recording the forward")
    return _at("not_exportable", innermost(traceback.extract_tb(error.__traceback__)), first_line(error))


def _at(code: Any, line: SourceLine | None, said: str = "") -> Refused:
    where = (line.file, line.line, line.text) if line else ("", 0, "")
    return Refused(EXPORT, code, said, 0.0, *where)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it came of."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _frozen(program: torch.export.ExportedProgram) -> Refused | None:
    """Return the first value that the program reads out of its data, or a size that the data decides."""
    unbacked: Callable[[Any], Any] = torch.fx.experimental.symbolic_shapes.free_unbacked_symbols
    given = set(program.graph_signature.user_inputs)
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, fx.GraphModule) else ():
            sized = node.op == "call_function" and node.meta.get("val") is not None and unbacked(node.meta["val"])
            whole = part is program.graph_module
            if (node.target in _ITEM or sized) and _of_data(node, given if whole else None):
                return _at("data_value", innermost_in(node.meta.get("stack_trace") or ""), str(node.target))
    return None


def _of_data(node: fx.Node, given: set[Any] | None) -> bool:
    """Whether a node depends on the numbers in an input (of any, where `given` is None), not on sizes and weights."""
    seen, todo = set[fx.Node](), [node]
    while todo:
        each = todo.pop()
        if each in seen or each.target in _SHAPES:
            continue
        seen.add(each)
        if each.op == "placeholder" and (given is None or each.name in given):
            return True
        todo += each.all_input_nodes
    return False


class _Deadline(TorchFunctionMode):
    """Ends a forward at the first call of torch after the deadline."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if time.monotonic() > self.deadline:
            raise _TooLongError
        return function(*args, **(kwargs or {}))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch prints and logs of a failed export off the log; what other threads write goes on."""
    thread, stderr = threading.get_ident(), sys.stderr

    class Others:
        def write(self, text: str) -> int:
            return len(text) if threading.get_ident() == thread else stderr.write(text)

        def __getattr__(self, name: str) -> Any:
            return getattr(stderr, name)

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for each in loggers:
        each.addFilter(of_others)
    others: Any = Others()
    sys.stderr = others
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if sys.stderr is others:
            sys.stderr = stderr
        for each in loggers:
            each.removeFilter(of_others)
