"""Where in what forward returns each output is, and the module that hands on just these, as a plain tuple.

The start finds the paths once (startup/output_binding.py). Whatever a network returns, tracer, exporter and runner see
a plain tuple; a network that returns one already is called as it is.
"""

import dataclasses
import keyword
import operator
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from ..errors import ModelError
from ..signature import Tensor
from .counts import stacked_rows

# The name of the network in a graph of one call.
INNER = "inner"
# A step: whether it is an attribute, and its name, key or index.
Step = tuple[bool, Any]
Path = tuple[Step, ...]
# What lies deeper, or holds itself, is not looked for.
DEEPEST = 8
_MOST_SHOWN = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Pick:
    """Where an output is. `by_row`: there is a list, with a number or a tensor for each row."""

    name: str
    path: Path
    by_row: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """How the declared outputs are read from what forward returns.

    `plain`: the runner can read that as it is. `lengths`: of the sequences in which the order alone says what is what,
    and the names that they have all the same; both stay at every call. `how`: for the log and the metadata.
    """

    picks: tuple[Pick, ...]
    lengths: tuple[tuple[Path, int, list[str] | None], ...]
    plain: bool
    how: str
    # The outputs, where forward returns a list with an entry a row, each with as much as the data decides.
    by_row: tuple[Tensor, ...] = ()

    def __call__(self, result: Any, device: torch.device) -> tuple[torch.Tensor, ...]:
        """Return a tensor per output; a ModelError where forward returns otherwise than in the start."""
        if self.by_row:
            return self._of_rows(result, device)
        return self._read(result, device)

    def _of_rows(self, rows: Any, device: torch.device) -> tuple[torch.Tensor, ...]:
        if not isinstance(rows, list | tuple):
            raise _otherwise((), kind(rows))
        picked = [dict(zip([each.name for each in self.picks], self._read(row, device), strict=True)) for row in rows]
        return stacked_rows(picked, self.by_row, device)

    def _read(self, result: Any, device: torch.device) -> tuple[torch.Tensor, ...]:
        for path, length, names in self.lengths:
            values = _at_call(result, path)
            if (found := len(values)) != length:
                raise ModelError(
                    f"outputs: forward returned {found} values{_where(path)}, at the start {length}\n"
                    "help: return as many for every input, or say with `from` where each output is"
                )
            if (now := names_in(values)) != names:
                raise _otherwise(path, f"values with the names {now}")
        return tuple(_tensor(result, pick, device) for pick in self.picks)

    @property
    def as_graph(self) -> bool:
        """Whether a graph can read it: a list with an entry a row is Python's."""
        return not self.by_row and not any(pick.by_row for pick in self.picks)

    def wrapped(self, module: nn.Module, model_inputs: Sequence[Tensor]) -> nn.Module:
        """Return the module that returns the outputs alone: itself, where it does."""
        return module if self.plain else ReadOutputs(module, self, [tensor.name for tensor in model_inputs])


class ReadOutputs(nn.Module):
    """A network that returns the outputs alone, as a tuple. The checks of each call are Python's."""

    def __init__(self, inner: nn.Module, reading: Reading, names: Sequence[str]) -> None:
        super().__init__()
        self.inner = inner
        self.reading = reading
        self.names = tuple(names)
        self.training = _is_training(inner)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.reading(self.inner(*inputs), inputs[0].device)


def returns_list_of_rows(module: nn.Module) -> bool:
    """Whether a list with an entry for each row comes, each with as much as the data decides."""
    return isinstance(module, ReadOutputs) and bool(module.reading.by_row)


def as_graph(module: nn.Module) -> nn.Module:
    """Return what a compiler is given in a module's place: paths and lengths as a graph that TorchScript can take."""
    if not isinstance(module, ReadOutputs) or not module.reading.as_graph:
        return module
    words = all(is_word(name) and name != "self" for name in module.names)
    graph = fx.Graph()
    names = module.names if words else [f"input_{index}" for index in range(len(module.names))]
    result = graph.call_module(INNER, tuple(graph.placeholder(name) for name in names))
    for path, length, _ in module.reading.lengths:
        same = graph.call_function(operator.eq, (graph.call_function(len, (_node(graph, result, path),)), length))
        graph.call_function(torch._assert, (same, f"forward returned other than {length} values{_where(path)}"))
    graph.output(tuple(_node(graph, result, pick.path) for pick in module.reading.picks))
    return around(module.inner, graph)


def around(inner: nn.Module, graph: fx.Graph) -> fx.GraphModule:
    """Return the module of a graph that calls one, by the name INNER."""
    made = fx.GraphModule({INNER: inner}, graph)
    made.training = _is_training(inner)
    return made


def is_word(name: str) -> bool:
    """Whether a graph can have an argument of this name."""
    return name.isidentifier() and not keyword.iskeyword(name)


def _is_training(module: nn.Module) -> bool:
    # Not eval(): an exported program refuses it, and may have no such attribute.
    return bool(getattr(module, "training", False))


def at(value: Any, path: Path) -> Any:
    for attribute, key in path:
        value = getattr(value, key) if attribute else value[key]
    return value


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield what a result is made of, each with its path; None too, and what is no tensor."""
    inner = held(value) if len(path) < DEEPEST else None
    if inner is None:
        yield path, value
    else:
        for step, each in inner:
            yield from leaves(each, (*path, step))


def held(value: Any) -> list[tuple[Step, Any]] | None:
    """Return what a container holds; None for what is none."""
    if isinstance(value, torch.Tensor) or is_numbers(value):
        return None
    if isinstance(value, Mapping):
        return [((False, key), value[key]) for key in value]
    if (names := _fields(value)) is not None:
        return [((True, name), getattr(value, name)) for name in names]
    return [((False, index), each) for index, each in enumerate(value)] if isinstance(value, list | tuple) else None


def names_in(value: Any) -> list[str] | None:
    """Return the names of what a value holds itself; None where it has none."""
    if isinstance(value, Mapping):
        return [key for key in value if isinstance(key, str)]
    return _fields(value)


def is_numbers(value: Any) -> bool:
    """Whether this is a list of numbers, which can only be the answers of rows."""
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(each, Real) for each in value)


def text(path: Path) -> str:
    """Return a path as a config writes it."""
    return ".".join(str(key) for _, key in path)


def shown(result: Any) -> str:
    """Return what a result is made of, as `0: tensor [3, 3], 1.0: None`."""
    found = [f"{text(path)}: {kind(value)}" if path else kind(value) for path, value in leaves(result)]
    more = [f"and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
    return ", ".join([*found[:_MOST_SHOWN], *more]) or f"an empty {type(result).__name__}"


def kind(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"tensor {list(value.shape)}"
    if is_numbers(value):
        return f"{len(value)} numbers"
    return "None" if value is None else type(value).__name__


def _node(graph: fx.Graph, node: fx.Node, path: Path) -> fx.Node:
    for attribute, key in path:
        node = graph.call_function(getattr if attribute else operator.getitem, (node, key))
    return node


def _fields(value: Any) -> list[str] | None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [each.name for each in dataclasses.fields(value)]
    # What torch.max and others return has no _fields.
    names = getattr(type(value), "_fields", None) or getattr(type(value), "__match_args__", None)
    return list(names) if names and isinstance(value, tuple) else None


def _at_call(result: Any, path: Path) -> Any:
    try:
        return at(result, path)
    except Exception as error:  # Attributes are the user's code too.
        raise _otherwise(path, f"nothing there ({type(error).__name__})") from error


def _tensor(result: Any, pick: Pick, device: torch.device) -> torch.Tensor:
    value = _at_call(result, pick.path)
    if not pick.by_row and isinstance(value, torch.Tensor):
        return value
    if pick.by_row and isinstance(value, list | tuple) and len(value) > 0:
        return _stacked(pick, value, device)
    raise _otherwise(pick.path, kind(value), pick.name)


def _stacked(pick: Pick, values: Sequence[Any], device: torch.device) -> torch.Tensor:
    """Return one tensor of what a list has for each row."""
    try:
        if isinstance(values[0], torch.Tensor):
            return torch.stack(list(values))
        # A Python float has 64 bits.
        return torch.from_numpy(np.asarray(values)).to(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise _otherwise(pick.path, f"a list of unlike values ({error})", pick.name) from error


def _where(path: Path) -> str:
    return f" at {text(path)}" if path else ""


def _otherwise(path: Path, came: str, name: str = "") -> ModelError:
    whose = f"output {name!r}" if name else "outputs"
    return ModelError(
        f"{whose}: forward returned {came}{_where(path)}, otherwise than at the start\n"
        "help: return the same structure for every input"
    )
