"""One open size right after the rows, as a config's `lengths` makes it."""

from collections.abc import Iterable

from configs.named_size import axis_named
from configs.tensors import DimConfig
from models.runtime.dims import Dim, OpenSizes
from models.signature import Tensor


def dims_of(lengths: Iterable[int]) -> tuple[Dim, ...]:
    """Return the dimensions of a model with these lengths."""
    return (Dim("", DimConfig(sizes=tuple(lengths), pad=0.0)),)


def open_sizes(lengths: Iterable[int], *names: str) -> OpenSizes:
    """Return what reads the length of these inputs."""
    open_size = (axis_named(1, ""),)
    return OpenSizes(dims_of(lengths), [Tensor(name, "FP32", (-1, -1), named=open_size) for name in names])
