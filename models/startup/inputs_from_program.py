"""The inputs of a config that leaves them out, from the graph of its exported program."""

from typing import Any

import torch
from torch import fx, nn

from configs.schema import ModelConfig
from configs.tensors import TensorConfig

from ..errors import ModelError
from .declared_dtypes import DATATYPES


def inputs_of(module: nn.Module, config: ModelConfig) -> tuple[TensorConfig, ...]:
    """Return the inputs of a loaded program, by the names of its forward's parameters.

    The one open size besides the rows is the one open dimension of the config. Several have the names in `dims`, in the
    order in which the inputs have them first.

    Raises:
        ModelError: it has none, was exported for one number of rows, or its open sizes have no names in `dims`.
    """
    nodes = module.graph.nodes if isinstance(module, fx.GraphModule) else ()
    values = {node.name: node.meta.get("val") for node in nodes if node.op == "placeholder"}
    if not values or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise ModelError("inputs: this program does not say what it takes\nhelp: list inputs in the config")
    rows = {str(value.shape[0]) for value in values.values() if value.dim()}
    if len(rows) != 1 or isinstance(next(iter(values.values())).shape[0], int):
        raise ModelError(
            f"inputs: the program was exported for {', '.join(sorted(rows))} rows\n"
            "help: export it with dynamic_shapes that leave the first dimension open"
        )
    symbols = list(dict.fromkeys(_symbols(values, rows.pop())))
    names = [""] if config.lengths else list(config.dims)
    if len(symbols) != len(names):
        raise ModelError(
            f"inputs: the program has {len(symbols)} open sizes besides the rows, and the config {_has(config)}\n"
            f"help: list the sizes of each: {_lines(len(symbols))}"
        )
    of = dict(zip(symbols, names, strict=True))
    return tuple(_input(name, value, of) for name, value in values.items())


def _symbols(values: dict[str, Any], rows: str) -> list[str]:
    return [
        str(size)
        for value in values.values()
        for size in value.shape[1:]
        if not isinstance(size, int) and str(size) != rows
    ]


def _input(name: str, value: Any, of: dict[str, str]) -> TensorConfig:
    if value.dtype not in DATATYPES:
        raise ModelError(f"inputs: {name} is {value.dtype}, which no datatype carries\nhelp: export it with another")
    sizes = [size if isinstance(size, int) else of.get(str(size)) or -1 for size in value.shape[1:]]
    return TensorConfig.model_validate({"name": name, "datatype": DATATYPES[value.dtype], "shape": [-1, *sizes]})


def _has(config: ModelConfig) -> str:
    return "lengths" if config.lengths else f"dims {list(config.dims)}" if config.dims else "no dims"


def _lines(count: int) -> str:
    if count == 0:
        return "remove dims and lengths"
    return "dims: {" + ", ".join(f"size{index}: {{sizes: [16, 32, 64]}}" for index in range(1, count + 1)) + "}"
