"""What a model takes and gives: names, datatypes and shapes, as the Open Inference Protocol writes them.

One place says how a datatype maps to numpy. The first dimension of every tensor counts rows and is always -1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from configs.named_size import NamedSize, axis_named
from configs.open_sizes import counts_of
from configs.schema import ModelConfig
from configs.tensors import DimConfig, OutputConfig, TensorConfig

Array = np.ndarray[Any, Any]
Rows = Mapping[str, Array]
Sizes = tuple[int, ...]  # Of the open dimensions, in the config's order; () where no size is open.
Shape = tuple[int, Sizes]  # Rows, and the sizes of the open dimensions.

NO_DIMS: Mapping[str, DimConfig] = MappingProxyType({})

# BYTES travels as numpy objects (bytes); BF16 has no numpy type and stays inside the model.
NUMPY: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output. `shape` includes the row dimension: (-1, 3, 224, 224).

    `path` is where an output is in what forward returns, where the config says so. `named` are its open sizes with the
    names of their dimensions; `high` may be one of these names; `pad` fills an input up to the size of its batch.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    low: float | None = None
    high: float | str | None = None
    path: str | None = None
    named: tuple[NamedSize, ...] = ()
    pad: float = 0.0

    @property
    def numpy(self) -> np.dtype[Any]:
        return NUMPY[self.datatype]

    @property
    def fixed(self) -> bool:
        """Whether a row always has the same shape."""
        return all(size > 0 for size in self.shape[1:])

    @property
    def no_rows(self) -> Array:
        """The array of a request without rows."""
        return np.empty((0, *(max(size, 0) for size in self.shape[1:])), self.numpy)

    def sized(self, of: Mapping[str, int]) -> tuple[int, ...]:
        """Return the sizes of a row where the open dimensions have these; -1 where one is not among them."""
        if not self.named:
            return self.shape[1:]
        sizes = list(self.shape)
        for each in self.named:
            sizes[each.axis] = each.of(of[each.name]) if each.name in of else -1
        return tuple(sizes[1:])

    def describe(self) -> dict[str, Any]:
        """Return it as in the model metadata."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs in the order that forward takes them, outputs in the order that it returns them."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def input(self, name: str) -> Tensor | None:
        return next((tensor for tensor in self.inputs if tensor.name == name), None)

    def output(self, name: str) -> Tensor | None:
        return next((tensor for tensor in self.outputs if tensor.name == name), None)


def signature_of(config: ModelConfig) -> Signature:
    """Return what a client sends and gets."""
    outputs = outputs_in((*config.outputs, *counts_of(config)))
    return Signature(as_tensors(config.inputs, config.open_dims), outputs)


def declared_model_inputs(config: ModelConfig) -> tuple[Tensor, ...] | None:
    """Return what preprocess returns, where the config says it."""
    return None if config.model_inputs is None else as_tensors(config.model_inputs, config.open_dims)


def as_tensors(configs: Sequence[TensorConfig], dims: Mapping[str, DimConfig] = NO_DIMS) -> tuple[Tensor, ...]:
    """Return inputs, each with what it is padded with. The open size that `lengths` lists has the name ""."""
    return tuple(_input(each, dims) for each in configs)


def outputs_in(configs: Sequence[OutputConfig]) -> tuple[Tensor, ...]:
    return tuple(Tensor(each.name, each.datatype, each.sizes, path=each.path, named=each.named) for each in configs)


def _input(config: TensorConfig, dims: Mapping[str, DimConfig]) -> Tensor:
    sizes = (axis_named(1, ""),) if "" in dims and config.sizes[1:2] == (-1,) else config.named
    pad = next((dims[each.name].pad_of(config.name) for each in sizes if dims[each.name].padded), 0.0)
    return Tensor(config.name, config.datatype, config.sizes, config.low, config.high, None, sizes, pad)


def label(shape: Shape) -> str:
    """Return a shape for people: `8x128`, the rows first."""
    rows, sizes = shape
    return "x".join(map(str, (rows, *sizes)))


def listed(tensors: Sequence[Tensor | TensorConfig]) -> str:
    """Return them for people: `ids INT64 [-1, tokens], mask INT64 [-1, tokens]`."""
    return ", ".join(f"{each.name} {each.datatype} [{', '.join(map(str, _sizes(each)))}]" for each in tensors)


def _sizes(tensor: Tensor | TensorConfig) -> list[int | str]:
    sizes: list[int | str] = list(tensor.shape)
    for each in tensor.named:
        sizes[each.axis] = each.text or -1
    return sizes


def as_config(tensor: Tensor) -> OutputConfig:
    """Return an output that was found as a config writes it."""
    return OutputConfig.model_validate({"name": tensor.name, "datatype": tensor.datatype, "shape": _sizes(tensor)})
