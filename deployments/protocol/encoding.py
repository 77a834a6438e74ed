"""Tensors to and from the wire, one at a time: JSON numbers, and the bytes of the binary extension.

Nothing is allocated before the counts agree. The surprise: numpy would read "1.5" as a number, true as 1, and a list
of one long and many short strings as a matrix of the longest, so types are looked at before numpy sees the list.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from models.signature import NUMPY, Array, Tensor

from ..core.errors import BadRequest, show
from .shapes import check_shape

# Little-endian on the wire; on such machines this is the native type, and a view costs nothing.
_WIRE = {datatype: dtype.newbyteorder("<") for datatype, dtype in NUMPY.items()}
DATATYPES = {dtype: datatype for datatype, dtype in NUMPY.items()}
_NO_JSON = frozenset(("FP16", "BF16"))
_NUMBERS = frozenset((int, float))
_WHOLE = frozenset((int,))
_TYPES: dict[str, frozenset[type]] = {
    "BOOL": frozenset((bool,)),
    "BYTES": frozenset((str,)),
    "FP32": _NUMBERS,
    "FP64": _NUMBERS,
}
_WANTED = {"BOOL": "true or false", "BYTES": "strings", "FP32": "numbers", "FP64": "numbers"}
Buffer = bytes | memoryview


def has_json(datatype: str) -> bool:
    return datatype not in _NO_JSON


def from_json(tensor: Tensor, shape: Any, data: Any) -> Array:
    """Read JSON data, flat or nested as `shape` says, into an array of that shape."""
    elements = check_shape(tensor, shape)
    if not has_json(tensor.datatype):
        raise BadRequest(f"input {tensor.name!r}: {tensor.datatype} has no JSON form; send it with binary_data_size")
    if type(data) is not list:
        raise BadRequest(f"input {tensor.name!r}: data must be a list, flat or nested; got {show(data)}")
    flat = _flatten(tensor, shape, data) if data and type(data[0]) is list else data
    if len(flat) != elements:
        raise BadRequest(
            f"input {tensor.name!r}: shape {show(list(shape))} has {elements} elements, data has {len(flat)}"
        )
    _check_types(tensor, flat)
    return _numbers(tensor, flat).reshape(shape)


def from_binary(tensor: Tensor, shape: Any, raw: Buffer, given_as: str = "binary_data_size is") -> Array:
    """Read a tensor's bytes; numeric ones become a read-only view of `raw`, with no copy.

    `given_as` is the transport's phrase for the number of bytes sent.
    """
    elements = check_shape(tensor, shape)
    if tensor.datatype == "BYTES":
        return _strings(tensor, elements, raw).reshape(shape)
    expected = elements * tensor.numpy.itemsize
    if len(raw) != expected:
        raise BadRequest(
            f"input {tensor.name!r}: {tensor.datatype} of shape {show(list(shape))} takes {expected} bytes,"
            f" {given_as} {len(raw)}"
        )
    # Any byte but 0 is true, as in C; numpy's bool allows only 0 and 1.
    flat: Array = (
        np.frombuffer(raw, np.uint8).astype(np.bool_)
        if tensor.datatype == "BOOL"
        else np.frombuffer(raw, _WIRE[tensor.datatype]).astype(tensor.numpy, copy=False)
    )
    return flat.reshape(shape)


def to_json(datatype: str, array: Array, name: str = "") -> Array | list[str]:
    """Return an output's data, flat, for orjson, which writes NaN and infinity as null.

    Raises:
        BadRequest: it is BYTES with other bytes than UTF-8.
    """
    if datatype == "BYTES":
        return texts(array, name)
    return np.ascontiguousarray(array, NUMPY[datatype]).reshape(-1)


def to_binary(datatype: str, array: Array) -> bytes:
    """Return the bytes of an output, little-endian and row-major."""
    if datatype == "BYTES":
        parts = [as_bytes(element) for element in array.reshape(-1)]
        return b"".join(chain.from_iterable((len(part).to_bytes(4, "little"), part) for part in parts))
    return np.asarray(array, _WIRE[datatype]).tobytes()


def texts(array: Array, name: str) -> list[str]:
    """Write BYTES as text, as JSON needs it.

    Raises:
        BadRequest: bytes are not UTF-8, as those of a picture, and need the binary form.
    """
    try:
        return [as_bytes(element).decode() for element in array.reshape(-1)]
    except UnicodeDecodeError:
        what = f"output {name!r} has bytes that are not UTF-8, which JSON cannot hold"
        raise BadRequest(f"{what}: ask /infer for it with binary_data true") from None


def as_bytes(element: object) -> bytes:
    return element.encode() if isinstance(element, str) else bytes(element)  # type: ignore[call-overload]


def one_element(tensor: Tensor, body: bytes) -> Array:
    """Return one row of a BYTES tensor with this one element."""
    return objects([body]).reshape([1] * len(tensor.shape))


def objects(values: Iterable[bytes]) -> Array:
    """Return byte strings as a flat numpy array of objects, the form of BYTES."""
    listed = list(values)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array


def _flatten(tensor: Tensor, shape: Any, data: list[Any]) -> list[Any]:
    """Flatten nested lists level by level; each must be as long as the shape says."""
    if len(data) != shape[0]:
        raise BadRequest(f"input {tensor.name!r}: shape {show(list(shape))} has {shape[0]} rows, data has {len(data)}")
    level = data
    for axis, size in enumerate(shape[1:], 1):
        if set(map(type, level)) != {list} or set(map(len, level)) != {size}:
            raise BadRequest(f"input {tensor.name!r}: {_misfit(shape, axis, level)}")
        level = list(chain.from_iterable(level))
    return level


def _misfit(shape: Any, axis: int, level: list[Any]) -> str:
    """Say which list of those at `axis` is none, or has not the size that the shape says: the first one."""
    size = shape[axis]
    at, found = next((at, each) for at, each in enumerate(level) if type(each) is not list or len(each) != size)
    place = [int(index) for index in np.unravel_index(at, shape[:axis])]
    where = f"row {place[0]}" + (f" at {place[1:]}" if axis > 1 else "")
    what = "value" if axis == len(shape) - 1 else "list"
    got = f"{len(found)} {what}{'s' * (len(found) != 1)}" if type(found) is list else f"{show(found)} as its {what}s"
    return f"{where} has {got}, and shape {show(list(shape))} takes {size}"


def _check_types(tensor: Tensor, flat: list[Any]) -> None:
    allowed = _TYPES.get(tensor.datatype, _WHOLE)
    if allowed.issuperset(map(type, flat)):
        return
    wrong = next(value for value in flat if type(value) not in allowed)
    wanted = _WANTED.get(tensor.datatype, "whole numbers of at most 64 bits")
    raise BadRequest(f"input {tensor.name!r} is {tensor.datatype} and takes {wanted}; data has {show(wrong)}")


def _numbers(tensor: Tensor, flat: list[Any]) -> Array:
    if tensor.datatype == "BYTES":
        return objects([text.encode() for text in flat])
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, tensor.numpy)
    except OverflowError:
        array = None
    # JSON has no infinity, so the conversion made it.
    if array is None or (tensor.datatype == "FP32" and not np.isfinite(array).all()):
        raise BadRequest(f"input {tensor.name!r}: data has a number beyond the range of {tensor.datatype}")
    return array


def _strings(tensor: Tensor, elements: int, raw: Buffer) -> Array:
    """Read BYTES: before each element, its length in 4 bytes."""
    view, end = memoryview(raw), len(raw)
    if 4 * elements > end:
        raise BadRequest(
            f"input {tensor.name!r}: {elements} BYTES elements take at least {4 * elements} bytes, there are {end}"
        )
    values, start = [], 0
    for index in range(elements):
        stop = start + 4
        stop += int.from_bytes(view[start:stop], "little")
        if stop > end:
            raise BadRequest(f"input {tensor.name!r}: BYTES element {index} ends at byte {stop}, the data at {end}")
        values.append(bytes(view[start + 4 : stop]))
        start = stop
    if start != end:
        raise BadRequest(f"input {tensor.name!r}: {end - start} bytes are left over after {elements} BYTES elements")
    return objects(values)
