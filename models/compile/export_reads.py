"""Finds what an exported program reads out of its data: it exports, but a trace would freeze it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from .source_lines import SourceLine, innermost_in

_ITEM = {getattr(torch.ops.aten, name).default for name in ("item", "_local_scalar_dense")}
_OF_SIZES = {torch.ops.aten.sym_size.int, torch.ops.aten.sym_numel.default, torch.ops.aten.sym_stride.int}


@dataclass(frozen=True, slots=True)
class Read:
    """Where a program reads a number, or a size, out of its data; `said` is torch's operator."""

    line: SourceLine | None
    said: str


def first_read(program: torch.export.ExportedProgram) -> Read | None:
    """Return the first; None where there is none."""
    given = set(program.graph_signature.user_inputs)
    for part, node in nodes_of(program):
        if _reads(node) and _of_data(node, given if part is program.graph_module else None):
            return Read(innermost_in(node.meta.get("stack_trace") or ""), str(node.target))
    return None


def nodes_of(program: torch.export.ExportedProgram) -> Iterator[tuple[fx.GraphModule, fx.Node]]:
    """Yield every node with its graph: the program's own, or that of a branch or a loop in it."""
    for part in program.graph_module.modules():
        if isinstance(part, fx.GraphModule):
            for node in part.graph.nodes:
                yield part, node


def _reads(node: fx.Node) -> bool:
    unbacked: Callable[[Any], Any] = torch.fx.experimental.symbolic_shapes.free_unbacked_symbols
    value = node.meta.get("val")
    return node.target in _ITEM or (node.op == "call_function" and value is not None and bool(unbacked(value)))


def _of_data(node: fx.Node, given: set[Any] | None) -> bool:
    """Whether a node depends on the numbers in an input (of any, where `given` is None), not on sizes and weights."""
    seen, todo = set[fx.Node](), [node]
    while todo:
        each = todo.pop()
        if each in seen or each.target in _OF_SIZES:
            continue
        seen.add(each)
        if each.op == "placeholder" and (given is None or each.name in given):
            return True
        todo += each.all_input_nodes
    return False
