"""Inputs that the user brings: requests as JSON (one, a list, or one a line), or arrays as .npz or .npy."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.signature import NUMPY, Array

from .errors import LoadError
from .tensor import Tensor, from_json

_HELP = 'bring {"inputs": [...]} as JSON, one or a list or one a line; or arrays by input name as .npz'
Request = tuple[Tensor, ...]


def read(path: Path, inputs: Sequence[Mapping[str, Any]], rows: int) -> list[Request]:
    """Return the requests in a file.

    Args:
        path: the file.
        inputs: the model's inputs, as its metadata has them.
        rows: how many rows of an array go into one request; a JSON request keeps its own.

    Raises:
        LoadError: it cannot be read, or is not for this model.
    """
    try:
        if path.suffix in (".npz", ".npy"):
            return _from_arrays(path, inputs, rows)
        return _from_text(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LoadError(f"{path}: cannot be read ({error.strerror or error})", "name another file") from error
    except UnicodeDecodeError as error:
        raise LoadError(f"{path}: is neither JSON nor .npz", _HELP) from error


def repeated(example: Mapping[str, Any], rows: int) -> Request:
    """Return the example of a model's metadata, one row, as a request of so many rows."""
    found = _request(Path("the metadata's example"), 0, example)
    return tuple(Tensor(each.name, each.datatype, np.repeat(each.values, rows, axis=0)) for each in found)


def _from_text(path: Path, text: str) -> list[Request]:
    try:
        found = json.loads(text)
    except ValueError:
        found = _lines(path, text)
    requests = found if isinstance(found, list) else [found]
    if not requests:
        raise LoadError(f"{path}: holds no request", _HELP)
    return [_request(path, number, each) for number, each in enumerate(requests)]


def _lines(path: Path, text: str) -> list[Any]:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise LoadError(f"{path}: is not JSON ({error})", _HELP) from error


def _request(path: Path, number: int, found: Any) -> Request:
    try:
        return tuple(
            from_json(str(each["name"]), str(each["datatype"]), list(each["shape"]), each["data"])
            for each in found["inputs"]
        )
    except (KeyError, TypeError) as error:
        raise LoadError(f"{path}: request {number} has no inputs with name, shape, datatype and data", _HELP) from error


def _from_arrays(path: Path, inputs: Sequence[Mapping[str, Any]], rows: int) -> list[Request]:
    arrays = _load(path, str(inputs[0]["name"]))
    missing = [str(each["name"]) for each in inputs if each["name"] not in arrays]
    if missing:
        raise LoadError(f"{path}: has no array {missing[0]!r}", f"it has {', '.join(arrays) or 'none'}")
    found = [_fitting(path, arrays[str(each["name"])], each) for each in inputs]
    total = min(len(array) for array in found)
    if total < rows:
        raise LoadError(f"{path}: has {total} rows, not {rows}", f"ask for --rows {total} or fewer")
    names = [(str(each["name"]), str(each["datatype"])) for each in inputs]
    return [
        tuple(Tensor(*name, array[start : start + rows]) for name, array in zip(names, found, strict=True))
        for start in range(0, total - rows + 1, rows)
    ]


def _load(path: Path, only: str) -> dict[str, Array]:
    try:
        found = np.load(path, allow_pickle=False)
        return {only: found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except ValueError as error:
        raise LoadError(f"{path}: is not an array file", "write it with numpy.savez, without objects") from error


def _fitting(path: Path, array: Array, declared: Mapping[str, Any]) -> Array:
    datatype = str(declared["datatype"])
    if datatype == "BYTES":
        raise LoadError(f"{path}: input {declared['name']!r} is text", "bring it as JSON")
    if array.ndim != len(declared["shape"]):
        raise LoadError(
            f"{path}: array {declared['name']!r} has shape {list(array.shape)}, the model takes {declared['shape']}",
            "the first dimension counts rows",
        )
    return array.astype(NUMPY[datatype], copy=False)
