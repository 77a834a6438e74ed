"""Compares a client's shapes with the signature, in plain integers and before any allocation."""

from collections.abc import Sequence

from models.signature import Tensor

from ..core.errors import BadRequest, show

# More than any memory holds, and few enough for numpy to count their bytes.
_MOST_ELEMENTS = 2**48


def check_shape(tensor: Tensor, shape: object) -> int:
    """Return the number of elements of a shape that fits the tensor, counted without allocating any.

    Raises:
        BadRequest: says which shape the tensor takes, and which one was sent.
    """
    if not isinstance(shape, list | tuple):
        raise _not_sizes(tensor, shape)
    if len(shape) != len(tensor.shape):
        raise _misfit(tensor, shape)
    # Without rows the other sizes must be countable too: numpy multiplies them.
    counted = 1
    for want, size in zip(tensor.shape, shape, strict=True):
        if type(size) is not int or size < 0:
            raise _not_sizes(tensor, shape)
        if want not in (-1, size):
            raise _misfit(tensor, shape)
        counted *= size or 1
    if counted >= _MOST_ELEMENTS:
        raise BadRequest(f"input {tensor.name!r}: shape {show(list(shape))} has more elements than there can be")
    if 0 not in shape:
        return counted
    if shape[0]:
        raise BadRequest(f"input {tensor.name!r}: shape {show(list(shape))} has rows that are empty")
    return 0


def _not_sizes(tensor: Tensor, shape: object) -> BadRequest:
    return BadRequest(f"input {tensor.name!r}: shape must be a list of sizes, 0 or more; got {show(shape)}")


def _misfit(tensor: Tensor, shape: Sequence[object]) -> BadRequest:
    return BadRequest(f"input {tensor.name!r} has shape {list(tensor.shape)}, -1 being open; got {show(list(shape))}")
