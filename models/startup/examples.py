"""Real rows for the checks of a start, from what the config names as `example`: files, or a callable that returns them.

A callable returns an array per input, or a list of such requests. example_files.py reads the files.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from configs.code_files import names_code
from configs.schema import ModelConfig

from ..errors import ModelError, first_line
from ..runtime.dims import below
from ..runtime.returned_values import fits
from ..signature import Array, Rows, Signature, Tensor, signature_of
from ..sources.files import fetch, shown
from ..sources.resolve import resolve
from ..user_code import call_at_start
from . import example_files

# Enough for every check; more would only take memory.
MOST_ROWS = 256
_MOST_BYTES = 2**28
_FORMS = "a dict of arrays with an entry for each input, rows first, or a list of such dicts"
Named = str | Sequence[str] | None
_Row = dict[str, Array]


class Examples:
    """Rows to draw from, each an array [1, ...] per input."""

    def __init__(self, rows: Sequence[_Row], invented: bool = False) -> None:
        self.rows = rows
        self.invented = invented

    @property
    def first(self) -> Rows:
        """The first row, [1, ...] per input."""
        return self.rows[0]

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, rows: int, seed: int) -> dict[str, Array]:
        """Return so many rows in an order of the seed's, [rows, ...] per input; open sizes are padded to the longest.

        Where more are asked for than there are, they come again with other numbers, where numbers may be changed: the
        same row beside itself would show no influence of one on the other.
        """
        generator = np.random.default_rng(seed)
        chosen: list[_Row] = []
        while len(chosen) < rows:
            order = generator.permutation(len(self.rows))[: rows - len(chosen)]
            as_given = not chosen
            chosen += [self.rows[each] if as_given else _varied(self.rows[each], generator) for each in order]
        return {name: below([row[name] for row in chosen]) for name in chosen[0]}


def load(named: Named, signature: Signature, decode: str | None = None, most: int = MOST_ROWS) -> Examples | None:
    """Return the rows that a config names, or None where it names none.

    Args:
        named: files or callables.
        signature: what the rows are held against.
        decode: the config's predict.decode, which reads pictures.
        most: how many are kept at most.

    Raises:
        ModelError: they cannot be read, or are none that the inputs take.
    """
    if named is None:
        return None
    several, rows = (named,) if isinstance(named, str) else named, list[_Row]()
    for each in several:
        if len(rows) >= most:
            break
        what = f"example {shown(each)}"
        requests = _requests(each, signature, decode)
        rows += call_at_start(what, f"give {_FORMS}", checked_rows, what, signature, requests, most)
    if not rows:
        raise ModelError(f"example {', '.join(map(shown, several))}: has no row\nhelp: give one row at least")
    return Examples(rows[:most])


def of_config(config: ModelConfig) -> Examples | None:
    """Return the rows that a config names, or that its source invents; None where random ones are drawn."""
    if config.example is None and config.source.pretrained is not None:
        from ..sources.pretrained.invented import invented

        return Examples(rows, invented=True) if (rows := invented(config)) else None
    return load(config.example, signature_of(config), config.predict.decode)


def requests_of(named: Named, decode: str | None) -> list[Mapping[str, Any]]:
    """Return the requests that a config names, as they are: their inputs are not known yet.

    One input without a name in its file is called image, text or data.
    """
    several = () if named is None else (named,) if isinstance(named, str) else named
    return [request for each in several for request in _requests(each, None, decode)]


def _requests(named: str, signature: Signature | None, decode: str | None) -> Iterable[Mapping[str, Any]]:
    if names_code(named):
        make: Callable[[], Any] = resolve(named)
        returned = call_at_start(f"example {named}", f"return {_FORMS}", make)
        return list(returned) if isinstance(returned, list | tuple) else [returned]
    path = fetch(named)
    try:
        return example_files.read(path, signature, decode)
    except ModelError:
        raise
    except Exception as error:  # Whatever a library raises of a file, or a decode hook of a picture.
        advice = "name a .npz, .npy, .safetensors, .json, .txt or picture that holds rows of the inputs, or a callable"
        raise ModelError(f"example {shown(named)}: cannot be read ({first_line(error)})\nhelp: {advice}") from error


def checked_rows(
    what: str, signature: Signature, requests: Iterable[Mapping[str, Any]], most: int = MOST_ROWS
) -> list[_Row]:
    """Return the rows of these requests, held against the inputs, one by one: the first `most`, or 256 MiB of them."""
    rows, kept_bytes = list[_Row](), 0
    for request in requests:
        if len(rows) >= most or kept_bytes >= _MOST_BYTES:
            break
        if not isinstance(request, Mapping) or set(request) != {each.name for each in signature.inputs}:
            came = f"the names {list(request)}" if isinstance(request, Mapping) else f"a {type(request).__name__}"
            wanted = [each.name for each in signature.inputs]
            raise ModelError(f"{what}: has {came}, the inputs are {wanted}\nhelp: give {_FORMS}")
        # More than are used would take memory and time here already.
        few = {name: value[:most] if _is_long(value, most) else value for name, value in request.items()}
        arrays = {each.name: _as_declared(what, each, few[each.name]) for each in signature.inputs}
        counts = {name: len(array) for name, array in arrays.items()}
        if len(set(counts.values())) != 1:
            raise ModelError(f"{what}: the inputs have {counts} rows\nhelp: give as many rows of each")
        # Copies: a view would keep the whole file in memory.
        row_bytes = sum(array[:1].nbytes for array in arrays.values())
        fit = -(-(_MOST_BYTES - kept_bytes) // max(1, row_bytes))
        count = min(fit, *counts.values())
        rows += [{name: array[row : row + 1].copy() for name, array in arrays.items()} for row in range(count)]
        kept_bytes += count * row_bytes
    return rows


def _is_long(value: object, most: int) -> bool:
    return isinstance(value, list | tuple | np.ndarray) and len(value) > most


def _as_declared(what: str, tensor: Tensor, value: Any) -> Array:
    try:
        if tensor.datatype == "BYTES":
            # As objects: numpy's own strings end at their last byte that is not 0.
            given = value if isinstance(value, np.ndarray) else np.array(value, object)
            array: Array = np.vectorize(_as_bytes, otypes=[object])(given)
        else:
            given = np.asarray(value)
            if given.dtype.kind in "SUcV" or (given.dtype == object and any(map(_is_text, given.flat))):
                raise TypeError("is a number, and a text was given")
            array = given if given.dtype == tensor.numpy else given.astype(tensor.numpy)
            if array is not given and array.dtype.kind in "iub" and not np.all(given == array):
                raise ValueError(f"has numbers that {tensor.datatype} cannot hold")
        shape = tuple(np.shape(array))
        if not fits(shape, shape[0] if shape else 0, tensor.shape):
            raise ValueError(f"has shape {list(shape)}, the config says {list(tensor.shape)}")
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelError(
            f"{what}: input {tensor.name!r} {error}\nhelp: give rows as a client sends them, rows first"
        ) from error
    return array


def _is_text(value: object) -> bool:
    return isinstance(value, str | bytes)


def _as_bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise TypeError(f"is BYTES and has a {type(value).__name__}")
    return value


def _varied(row: Rows, generator: np.random.Generator) -> _Row:
    """Return a row whose floats and pictures are up to 30 % smaller or darker; whole numbers may be ids, and stay."""
    factor = float(generator.uniform(0.7, 1.0))
    return {name: _scaled(array, factor) if _is_measure(array) else array for name, array in row.items()}


def _is_measure(array: Array) -> bool:
    return array.dtype.kind == "f" or (array.dtype == np.uint8 and array.ndim > 2)


def _scaled(array: Array, factor: float) -> Array:
    return (array * factor).astype(array.dtype)
