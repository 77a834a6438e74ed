"""The protocol's `classification` parameter: the k highest values of each row, as `value:index`."""

import numpy as np

from models.signature import Array

from .encoding import DATATYPES


def as_requested(array: Array, k: int) -> tuple[str, Array]:
    """Return the datatype and the values of an output, or its k highest if `k` is not 0."""
    return ("BYTES", top(array, k)) if k else (DATATYPES[array.dtype], array)


def top(array: Array, k: int) -> Array:
    """Turn [rows, ...] into BYTES [rows, at most k], highest first; equal values by index, and NaN last."""
    rows = array.shape[0]
    flat = array.reshape(rows, -1) if rows else array.reshape(0, int(np.prod(array.shape[1:])))
    # Inverting the bits of an integer reverses its order without overflow, which negating it would not.
    falling = ~flat if flat.dtype.kind in "biu" else -flat
    order = np.argsort(falling, axis=1, kind="stable")[:, :k]
    write = "{:f}:{}" if flat.dtype.kind == "f" else "{:d}:{}"
    written = np.empty(order.shape, object)
    for row, index in np.ndindex(order.shape):
        place = int(order[row, index])
        written[row, index] = write.format(flat[row, place].item(), place).encode()
    return written
