"""Reads a file of real rows, one of `example`: .npz or .safetensors (an array per input), .npy (the array of the only
input), .json (a request for /infer or /predict), .txt (a text a line), a picture, or, for one BYTES input, anything.
"""

import json
import mimetypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..images import default_reader, own_size
from ..signature import NUMPY, Array, Signature, Tensor
from ..sources.hooks import decode_hook_of
from ..sources.resolve import resolve
from ..user_code import call

_Reader = Callable[..., list[Mapping[str, Any]]]


class _UnusableFileError(ValueError):
    """A file that holds no rows for the inputs; its text says why."""


def read(path: Path, signature: Signature | None, decode: str | None) -> list[Mapping[str, Any]]:
    """Return the requests in a file; without a signature as they are, with one input without a name named by its kind.

    Raises:
        Exception: whatever a library raises of a file, or the hook `decode` of a picture.
    """
    reader: _Reader = _READERS.get(path.suffix.lower(), _bytes)
    return reader(path, signature, decode)


def _npz(path: Path, *_: object) -> list[Mapping[str, Any]]:
    with np.load(path, allow_pickle=False) as found:
        return [{name: found[name] for name in found.files}]


def _npy(path: Path, signature: Signature | None, *_: object) -> list[Mapping[str, Any]]:
    if signature is None:
        return [{"data": np.load(path, allow_pickle=False)}]
    if len(signature.inputs) != 1:
        raise _UnusableFileError("it holds one array: name a .npz, which has one for each input by name")
    only = signature.inputs[0]
    return _bytes(path, signature) if only.datatype == "BYTES" else [{only.name: np.load(path, allow_pickle=False)}]


def _safetensors(path: Path, *_: object) -> list[Mapping[str, Any]]:
    from safetensors.numpy import load_file

    return [load_file(path)]


def _json(path: Path, signature: Signature | None, *_: object) -> list[Mapping[str, Any]]:
    found = json.loads(_text(path))
    requests = found if isinstance(found, list) and all(_is_request(each) for each in found) else [found]
    return [request for each in requests for request in _of_json(each, signature)]


def _is_request(found: object) -> bool:
    return _is_infer(found) or (isinstance(found, Mapping) and "instances" in found)


def _is_infer(found: Any) -> bool:
    inputs = found.get("inputs") if isinstance(found, Mapping) else None
    return isinstance(inputs, list) and all(isinstance(each, Mapping) and "name" in each for each in inputs)


def _of_json(found: Any, signature: Signature | None) -> list[Mapping[str, Any]]:
    """Read a request for /infer, one for /predict, a list of instances, or a list of rows per input."""
    if _is_infer(found):
        return [{each["name"]: _shaped(each, typed=signature is None) for each in found["inputs"]}]
    instances = found.get("instances", found) if isinstance(found, Mapping) else found
    if isinstance(instances, Mapping):
        return [instances]
    if isinstance(instances, list) and instances and all(isinstance(each, Mapping) for each in instances):
        # One by one: they may differ in size.
        return [{name: [value] for name, value in each.items()} for each in instances]
    if isinstance(instances, list) and (signature is None or len(signature.inputs) == 1):
        return [{"data" if signature is None else signature.inputs[0].name: [each]} for each in instances]
    raise _UnusableFileError("it is neither a request nor a list of instances")


def _shaped(tensor: Mapping[str, Any], typed: bool) -> Any:
    values = np.array(tensor["data"], object).reshape(tensor["shape"])
    return values.astype(NUMPY[tensor["datatype"]]) if typed else values


def _lines(path: Path, signature: Signature | None, *_: object) -> list[Mapping[str, Any]]:
    texts = [line.encode() for line in _text(path).splitlines() if line.strip()]
    only = _texts(signature, "a .txt file", "text")
    return [{only.name: _column(texts, only)}]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _UnusableFileError(f"it is not UTF-8 from byte {error.start} on: save it as UTF-8") from error


def _bytes(path: Path, signature: Signature | None, *_: object) -> list[Mapping[str, Any]]:
    only = _texts(signature, f"a {path.suffix} file" if path.suffix else "a file without an ending", "data")
    return [{only.name: _column([path.read_bytes()], only)}]


def _picture(path: Path, signature: Signature | None, decode: str | None) -> list[Mapping[str, Any]]:
    if signature is None:
        return _unsigned_picture(path, decode)
    if len(signature.inputs) == 1 and signature.inputs[0].datatype == "BYTES":
        return _bytes(path, signature)
    read: Callable[[bytes], Array] | None = default_reader(signature) if decode is None else resolve(decode)
    if read is None:
        raise _UnusableFileError("the model takes no picture: name predict.decode, which makes a row of one")
    kind = mimetypes.guess_type(path.name)[0] or ""
    returned = call(decode_hook_of(read), path.read_bytes(), kind)
    row: Mapping[str, Any] = returned if isinstance(returned, Mapping) else {signature.inputs[0].name: returned}
    # As on /predict, a row may come without the dimension that counts rows.
    ranks = {each.name: len(each.shape) for each in signature.inputs}
    return [{name: value if np.ndim(value) == ranks.get(name) else [value] for name, value in row.items()}]


def _unsigned_picture(path: Path, decode: str | None) -> list[Mapping[str, Any]]:
    """Read a picture of a model whose inputs are not known: by predict.decode, or in its own size."""
    read: Callable[..., Any] = own_size if decode is None else resolve(decode)
    kind = mimetypes.guess_type(path.name)[0] or ""
    returned = call(decode_hook_of(read), path.read_bytes(), kind)
    if isinstance(returned, Mapping):
        return [returned]
    # As on /predict, a row may come without the dimension that counts rows.
    return [{"image": returned if np.ndim(returned) != 3 else np.asarray(returned)[None]}]


def _texts(signature: Signature | None, kind: str, name: str) -> Tensor:
    if signature is None:
        return Tensor(name, "BYTES", (-1,))
    if len(signature.inputs) != 1 or signature.inputs[0].datatype != "BYTES":
        raise _UnusableFileError(f"only a model with one BYTES input takes {kind}")
    return signature.inputs[0]


def _column(values: list[bytes], tensor: Tensor) -> Array:
    column = np.empty(len(values), object)
    column[:] = values
    return column.reshape(len(values), *(1 for _ in tensor.shape[1:]))


_READERS: dict[str, _Reader] = {
    ".npz": _npz,
    ".npy": _npy,
    ".safetensors": _safetensors,
    ".json": _json,
    ".txt": _lines,
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"), _picture),
}
