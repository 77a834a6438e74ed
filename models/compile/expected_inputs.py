"""What a compiled forward takes and returns, written into its package.

AOTInductor's code checks nothing: of a wrong shape, dtype or stride it would read memory that is not the input's.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch.utils import _pytree as pytree

# Shapes that were found good are not looked at again; so many are kept.
_MOST_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class ExpectedInput:
    """One input. A size is a number, or open: a symbol of the program, or what it computes from one (`16*s0`)."""

    dtype: str
    sizes: tuple[int | str, ...]
    channels_last: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """The inputs in forward's order, the least and most of each symbol, and the outputs' names where it returns a dict.

    `kept` are the outputs that depend on no input: they are, or may be, the compiled code's own memory.
    """

    inputs: tuple[ExpectedInput, ...]
    ranges: Mapping[str, tuple[int, int | None]]
    names: tuple[str, ...] | None = None
    kept: tuple[int, ...] = ()
    _known: set[Any] = field(default_factory=set, repr=False, compare=False)

    def ready(self, given: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the inputs with the strides that were compiled; raise ValueError if they are others."""
        key = tuple([(each.shape, each.dtype, each.device) for each in given])
        if key not in self._known:
            self._check(given)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known.add(key)
        return [
            each.contiguous(memory_format=torch.channels_last) if expected.channels_last else each.contiguous()
            for each, expected in zip(given, self.inputs, strict=True)
        ]

    def _check(self, given: Sequence[torch.Tensor]) -> None:
        if len(given) != len(self.inputs):
            raise ValueError(f"{len(given)} inputs were given, compiled for {len(self.inputs)}")
        sizes: dict[str, int] = {}
        devices = {each.device for each in given}
        for computed in (False, True):  # What is computed from a symbol comes after the symbols.
            for index, (each, expected) in enumerate(zip(given, self.inputs, strict=True)):
                dtype = str(each.dtype).removeprefix("torch.")
                fits = dtype == expected.dtype and each.layout is torch.strided and each.dim() == len(expected.sizes)
                if not (fits and len(devices) == 1 and self._fits(each.shape, expected.sizes, sizes, computed)):
                    wanted = ", ".join(map(self._shown, expected.sizes))
                    raise ValueError(
                        f"input {index} is {dtype} {list(each.shape)} on {each.device}, "
                        f"compiled for {expected.dtype} [{wanted}], with open sizes that agree"
                    )

    def _fits(self, given: Sequence[int], expected: Sequence[int | str], sizes: dict[str, int], computed: bool) -> bool:
        for size, wanted in zip(given, expected, strict=True):
            plain = wanted in self.ranges
            if isinstance(wanted, int):
                if size != wanted:
                    return False
            elif plain and not computed:
                least, most = self.ranges[wanted]
                if sizes.setdefault(wanted, size) != size or size < least or (most is not None and size > most):
                    return False
            elif computed and not plain and not self._computed(size, wanted, sizes):
                return False
        return True

    def _computed(self, size: int, text: str, sizes: dict[str, int]) -> bool:
        sympy: Any = importlib.import_module("sympy")
        expression = sympy.sympify(text, locals={name: sympy.Symbol(name, integer=True) for name in self.ranges})
        expression = expression.subs({each: sizes[each.name] for each in expression.free_symbols if each.name in sizes})
        if len(expression.free_symbols) == 1:
            [symbol] = expression.free_symbols
            least, most = self.ranges[symbol.name]
            for found in sympy.solve(expression - size, symbol):
                if found.is_Integer and found >= least and (most is None or found <= most):
                    sizes[symbol.name] = int(found)
                    return True
            return False
        return bool(expression == size)

    def _shown(self, size: int | str) -> str:
        if size not in self.ranges or isinstance(size, int):
            return str(size)
        least, most = self.ranges[size]
        return f"{least} to {most}" if most is not None else f"{least} or more"


class NotExpectedError(Exception):
    """A program takes or returns what a package cannot be asked for; the text says what."""


def expected_by(program: torch.export.ExportedProgram) -> Expected:
    """Return what a program takes and returns; raise NotExpectedError if that is more than tensors in order."""
    nodes = {node.name: node for node in program.graph_module.graph.nodes}
    signature = program.graph_signature
    given = [nodes[str(name)].meta.get("val") for name in signature.user_inputs]
    # What the program computes of symbols has symbols of its own.
    symbols = {str(symbol) for each in given if isinstance(each, torch.Tensor) for symbol in _symbols(each)}
    ranges = {name: _range(program, name) for name in symbols}
    returned = pytree.tree_unflatten(list(range(len(signature.user_outputs))), program.call_spec.out_spec)
    names = tuple(map(str, returned)) if isinstance(returned, dict) else None
    order = list(returned.values()) if isinstance(returned, dict) else returned
    if (list(order) if isinstance(order, list | tuple) else [order]) != list(range(len(signature.user_outputs))):
        raise NotExpectedError("forward returns more than a tensor, or tensors in order or by name")
    outputs = [nodes.get(str(name)) for name in signature.user_outputs]
    tensors = [node for node in outputs if node is not None and isinstance(node.meta.get("val"), torch.Tensor)]
    if len(tensors) < len(outputs):
        raise NotExpectedError("forward returns more than tensors")
    of_inputs = _depend_on({nodes[str(name)] for name in signature.user_inputs}, program)
    kept = tuple(index for index, node in enumerate(tensors) if node not in of_inputs)
    return Expected(tuple(map(_input, given)), ranges, names, kept)


def to_json(expected: Expected) -> str:
    return json.dumps({name: value for name, value in asdict(expected).items() if not name.startswith("_")})


def from_json(text: str) -> Expected:
    read = json.loads(text)
    inputs = tuple(ExpectedInput(each["dtype"], tuple(each["sizes"]), each["channels_last"]) for each in read["inputs"])
    names = None if read["names"] is None else tuple(read["names"])
    return Expected(inputs, {name: tuple(each) for name, each in read["ranges"].items()}, names, tuple(read["kept"]))


def _input(given: Any) -> ExpectedInput:
    if not isinstance(given, torch.Tensor):
        raise NotExpectedError("forward takes more than tensors")
    channels_last = given.dim() == 4 and given.is_contiguous(memory_format=torch.channels_last)
    if not (given.is_contiguous() or channels_last):
        raise NotExpectedError("an input is neither contiguous nor channels_last")
    shape: Sequence[Any] = given.shape
    sizes = tuple(each if isinstance(each, int) else str(each.node.expr) for each in shape)
    return ExpectedInput(str(given.dtype).removeprefix("torch."), sizes, channels_last and not given.is_contiguous())


def _symbols(given: torch.Tensor) -> set[Any]:
    sizes: list[Any] = [each for each in given.shape if not isinstance(each, int)]
    return {symbol for each in sizes for symbol in each.node.expr.free_symbols}


def _range(program: torch.export.ExportedProgram, name: str) -> tuple[int, int | None]:
    found = next(each for symbol, each in program.range_constraints.items() if str(symbol) == name)
    return int(found.lower), int(found.upper) if found.upper.is_Integer else None


def _depend_on(inputs: set[Any], program: torch.export.ExportedProgram) -> set[Any]:
    found = set(inputs)
    for node in program.graph_module.graph.nodes:
        # Not by an input's size alone: a weight that is expanded to it is a weight still.
        if isinstance(node.meta.get("val"), torch.Tensor) and not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found
