"""Exports a network by torch.export with its rows and open dimensions open, or says why that cannot be done.

What exports has no Python branch on its data: this is a proof, where the comparison of samples is only evidence. An
export may still read numbers out of its data; a trace would freeze them, so `Exported.frozen` names the first.
"""

import inspect
import re
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..errors import first_line
from ..runtime.output_paths import as_graph, returns_list_of_rows
from ..user_code import UserCodeError, call
from .build import Network, Staged
from .export_limits import Deadline, TooLongError, quiet
from .export_reads import first_read
from .export_sizes import Shapes, narrowed, opened_in, refined, shapes_of, shown_as, takes_all
from .refused import Refused, RefusedCode
from .source_lines import SourceLine, innermost

EXPORT = "export"
# A start waits so long for the forward to be recorded, `pitstop build` so long.
_START_S, _BUILD_S = 60.0, 600.0
# Each of torch's suggestions may lead to another one.
_TRIES = 4
_ANY = "an open size"


@dataclass(frozen=True, slots=True)
class Exported:
    """A program for every warmed shape. `frozen`: what a trace would freeze, though it exports; None if nothing.

    `narrowed` are the open sizes of which it takes only some, multiples of 16 say: all that are warmed, but perhaps
    not all that requests bring where a dimension is not padded.
    """

    program: torch.export.ExportedProgram
    frozen: Refused | None = None
    narrowed: tuple[str, ...] = ()


def exported(given: Network) -> Exported | Refused:
    """Export the network with everything open that requests leave open."""
    if returns_list_of_rows(given.module):
        return Refused(EXPORT, "list_of_rows")
    module, example, opened = as_graph(given.module), _example(given), opened_in(given.layout)
    first = shapes = shapes_of(given.layout, given.model_inputs)
    deadline = time.monotonic() + (_BUILD_S if given.minutes else _START_S)
    for _ in range(_TRIES):
        try:
            program = _program(module, example, shapes, deadline)
        except Exception as error:  # The exporter raises a dozen unrelated types; each means "not exportable".
            again = refined(error, shapes, opened)
            if again is None:
                return _refused(error, opened)
            shapes = again
            continue
        if not takes_all(program, given.layout, given.model_inputs):
            return Refused(EXPORT, "fixed_size", " and ".join(map(shown_as, opened)) or _ANY)
        read = first_read(program)
        frozen = _at("data_value", read.line, read.said) if read else None
        return Exported(program, frozen, narrowed(shapes, first, opened))
    return Refused(EXPORT, "fixed_size", _ANY)


def _program(module: nn.Module, example: Staged, shapes: Shapes, deadline: float) -> torch.export.ExportedProgram:
    with torch.no_grad(), quiet(), Deadline(deadline):
        return call(torch.export.export, module, tuple(example), dynamic_shapes=_nested(module, shapes), strict=False)


def _nested(module: nn.Module, shapes: Shapes) -> Any:
    """Return the shapes as forward names its inputs: those of `*inputs` are one tuple."""
    try:
        kinds = [each.kind for each in inspect.signature(module.forward).parameters.values()]
    except (TypeError, ValueError):  # What is written in C has no signature.
        return shapes
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return shapes
    first = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*shapes[:first], shapes[first:])


def _example(given: Network) -> Staged:
    """Return inputs in which every open size is two or more: torch takes a size of one for a constant."""
    layout = given.layout
    if given.draw is None:
        return max(given.probes, key=lambda probe: sum(each.numel() for each in probe))
    rows = max(2, layout.sizes[-1]) if layout.whole else layout.sizes[-1]
    return given.draw((rows, tuple(dim.sizes[-1] for dim in layout.dims)), 0)


def _refused(error: Exception, opened: Iterable[str]) -> Refused:
    chain = list(_chain(error.raised if isinstance(error, UserCodeError) else error))
    lines = [innermost(traceback.extract_tb(each.__traceback__)) for each in chain]
    line = next((each for each in lines if each is not None), None)
    for each in chain:
        if "DataDependent" in type(each).__name__ or "data-dependent" in str(each):
            return _at("data_branch", line, first_line(each))
    if any(isinstance(each, TooLongError) for each in chain):
        return Refused(EXPORT, "too_long", "recording the forward")
    if violated := re.search(r"Constraints violated \(([^)]*)\)", str(error)):
        fixed = [shown_as(name) for name in opened if name in violated[1].split(", ")]
        return Refused(EXPORT, "fixed_size", " and ".join(fixed) or _ANY)
    return _at("not_exportable", line, first_line(error))


def _at(code: RefusedCode, line: SourceLine | None, said: str = "") -> Refused:
    where = (line.file, line.line, line.text) if line else ("", 0, "")
    return Refused(EXPORT, code, said, 0.0, *where)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it came of."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
