"""What a model takes and gives: names, datatypes and shapes, as the Open Inference Protocol writes them.

One place says how a datatype maps to numpy. The first dimension of every tensor counts rows and is always -1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from configs.schema import ModelConfig, OutputConfig, TensorConfig

Array = np.ndarray[Any, Any]
Rows = Mapping[str, Array]
Shape = tuple[int, int]  # Rows and length; length is 0 where no size is open.

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

    `path` is where an output is in what forward returns, where the config says so.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    path: str | None = None

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

    def describe(self) -> dict[str, Any]:
        """Return it as in the model metadata."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs in the order that forward takes them, outputs in the order that it returns them."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def fixed(self) -> bool:
        return all(tensor.fixed for tensor in self.inputs)

    def input(self, name: str) -> Tensor | None:
        return next((tensor for tensor in self.inputs if tensor.name == name), None)

    def output(self, name: str) -> Tensor | None:
        return next((tensor for tensor in self.outputs if tensor.name == name), None)


def signature_of(config: ModelConfig) -> Signature:
    return Signature(as_tensors(config.inputs), outputs_in(config.outputs))


def as_tensors(configs: Sequence[TensorConfig]) -> tuple[Tensor, ...]:
    return tuple(Tensor(each.name, each.datatype, each.shape, each.low, each.high) for each in configs)


def outputs_in(configs: Sequence[OutputConfig]) -> tuple[Tensor, ...]:
    return tuple(Tensor(each.name, each.datatype, each.shape, path=each.path) for each in configs)
