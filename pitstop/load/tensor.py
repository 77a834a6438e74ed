"""One input of a request, with its values, and the two ways to write them: as JSON and as bytes."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.signature import NUMPY, Array

from .errors import LoadError


@dataclass(frozen=True, slots=True)
class Tensor:
    """`values` has the shape that goes over the wire; for BYTES it holds bytes objects."""

    name: str
    datatype: str
    values: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(size) for size in self.values.shape)

    def raw(self) -> bytes:
        """Return the bytes: little-endian, row-major; for BYTES each element after its 4-byte length."""
        if self.datatype == "BYTES":
            return b"".join(struct.pack("<I", len(each)) + each for each in self.values.ravel())
        return self.values.astype(self.values.dtype.newbyteorder("<"), copy=False).tobytes()

    def data(self) -> Any:
        """Return what orjson writes as the flat list of values."""
        if self.datatype == "FP16":
            raise LoadError(f"input {self.name!r} is FP16, which has no JSON form", "add --format binary")
        if self.datatype == "BYTES":
            return [_text(self.name, each) for each in self.values.ravel()]
        return np.ascontiguousarray(self.values).ravel()


def from_json(name: str, datatype: str, shape: list[int], data: Any) -> Tensor:
    """Read what a JSON request holds for one input.

    Raises:
        LoadError: the values are not of this datatype, or not as many as the shape says.
    """
    if datatype not in NUMPY:
        raise LoadError(f"input {name!r}: {datatype!r} is not a datatype", f"known are {', '.join(NUMPY)}")
    try:
        if datatype == "BYTES":
            flat = np.array([each.encode() for each in np.asarray(data, dtype=object).ravel()], dtype=object)
        else:
            flat = np.asarray(data, dtype=NUMPY[datatype]).ravel()
        return Tensor(name, datatype, flat.reshape(shape))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise LoadError(
            f"input {name!r}: its data is not {datatype} of shape {shape}", "compare it with the model's metadata"
        ) from error


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise LoadError(f"input {name!r} holds bytes that are not text", "add --format binary") from error
