"""Checks of single values beyond type and bounds, for schema.py."""

import ipaddress
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tensors import TensorConfig

_FLOATS = {"FP16": 65504.0, "FP32": 3.4028234663852886e38, "FP64": math.inf}
_BITS = {"BOOL": 8, "BYTES": 64}
# More memory than any machine has. A size with a digit too many is found before the start allocates such a batch.
_TIB = 2**40


def printable(name: str) -> str:
    """Return a name that can be logged and typed, or raise ValueError."""
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError(
            f"{name!r} is empty, begins or ends with a space, or has unprintable characters\nhelp: write a plain name"
        )
    return name


def some_paths(value: object) -> object:
    """Return one path, or several as a tuple, or raise ValueError."""
    if value is None:
        return None
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list | tuple) or not several or not all(isinstance(e, str) and e for e in several):
        raise ValueError(
            f"{repr(value)[:60]} names no example\nhelp: write the path of a file, package.module:name or "
            "path/to/file.py:name, or a list of these; leave the key out where there is none"
        )
    return value if isinstance(value, str) else tuple(several)


def dotted(value: object) -> object:
    """Return a path of names and indices as text, also where YAML has read a number; or raise ValueError.

    A fraction is not taken: YAML reads 1.10 as 1.1, and 0.3.1 as text.
    """
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(
                f"YAML reads this path as the number {value:g}, in which 1.10 is 1.1\n"
                'help: put it in quotes, as "1.10" or "1.1"'
            )
        return f"{value:.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and not all(value.split(".")):
        raise ValueError(f"{value!r} has an empty step\nhelp: write names and indices with a point between them: 1.0")
    return value


def whole_above_one(gpus: float) -> float:
    """Return a number of GPUs that Ray can reserve, or raise ValueError."""
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(
            f"is {gpus:g}: above 1 Ray reserves only whole GPUs\n"
            f"help: write {int(gpus)}, or a share of one GPU such as 0.5"
        )
    return gpus


def host(text: str) -> str:
    """Return an address that a server can listen on, or raise ValueError."""
    if ":" in text:
        try:
            ipaddress.IPv6Address(text.partition("%")[0])
        except ValueError:
            raise ValueError(
                f"{text!r} is not an address\nhelp: write the host only, such as 127.0.0.1; the port has its own key"
            ) from None
    elif any(letter.isspace() or letter in "/[]" for letter in text):
        raise ValueError(f"{text!r} is not an address\nhelp: write a host name or an address, such as 127.0.0.1")
    return text


def check_bounds(datatype: str, low: float | None, high: float | None) -> None:
    """Raise ValueError if probe inputs between these bounds cannot be drawn in this datatype."""
    if low is None and high is None:
        return
    if datatype in _BITS:
        raise ValueError(f"low and high are for numbers, but the datatype is {datatype}\nhelp: remove them")
    for key, value in (("low", low), ("high", high)):
        if value is not None:
            check_held(key, value, datatype)
    # The bounds of models/startup/random_inputs.py if only one of the two is given.
    default = 255.0 if datatype == "UINT8" else 1.0
    bottom, top = 0.0 if low is None else low, default if high is None else high
    if bottom > top:
        help_ = f"give both; by default low is 0 and high is {_plain(default)}"
        raise ValueError(f"low ({_plain(bottom)}) is above high ({_plain(top)})\nhelp: {help_}")


def check_held(what: str, value: float, datatype: str) -> None:
    """Raise ValueError if a datatype of numbers cannot hold a value; in other datatypes 0 and 1 alone are held."""
    if datatype in _BITS:
        if value not in (0, 1):
            raise ValueError(f"{what} is {_plain(value)}, but the datatype is {datatype}\nhelp: use 0 or 1")
        return
    least, most = _range(datatype)
    # The value is a float, which rounds the end of a 64-bit type up past that end.
    if not float(least) <= value <= float(most):
        range_ = f"{_plain(least)} to {_plain(most)}"
        raise ValueError(f"{what} is {_plain(value)}, which {datatype} cannot hold\nhelp: its range is {range_}")
    if datatype not in _FLOATS and value != int(value):
        raise ValueError(f"{what} is {value:g}, but {datatype} holds whole numbers\nhelp: round it")


def _plain(value: float) -> str:
    """Write a whole number with all its digits, up to the largest of 64 bits."""
    return str(int(value)) if abs(value) <= 2**64 and value == int(value) else f"{value:g}"


def check_batch_bytes(tensor: "TensorConfig", rows: int, sizes: Sequence[int]) -> None:
    """Raise ValueError if one batch of a tensor with these sizes is larger than any machine's memory."""
    bits = _BITS.get(tensor.datatype) or int(tensor.datatype.strip("UINTFP"))
    total = rows * math.prod(sizes) * bits // 8
    if total > _TIB:
        raise ValueError(
            f"a batch of {rows} rows of {tensor.name!r} would take {total / _TIB:,.1f} TiB\n"
            f"help: correct its shape, {list(tensor.shape)}, or lower max_batch_size"
        )


def _range(datatype: str) -> tuple[float, float]:
    if datatype in _FLOATS:
        return -_FLOATS[datatype], _FLOATS[datatype]
    bits = int(datatype.strip("UINT"))
    return (0, 2**bits - 1) if datatype.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
