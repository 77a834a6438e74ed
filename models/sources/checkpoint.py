"""Reads a checkpoint's tensors without running code: safetensors, a sharded index, or torch.load with weights_only.

Files are mapped, not copied: a tensor takes memory once it is read. The first bytes of a file, not its name, give its
format.
"""

import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError
from .files import fetch

_INDEX = ".index.json"
# As torch names it.
_EXTRA = "_extra_state"
_LFS = b"version https://git-lfs"
_TRUST_HELP = (
    "help: pickles run their author's code when they load, so only plain tensors are accepted. Where you trust the "
    "file, convert it once, and name the result as source.weights:\n"
    "      pitstop export {} -o model.safetensors --trust-pickle"
)


class PickledError(ModelError):
    """The file holds a pickled object, not plain weights."""


def read(path: Path, location: str, checked: bool = False) -> dict[str, Any]:
    """Return the file's content, by key; values may be other than tensors if a trainer saved more than weights.

    `checked` says that the config has a sha256: then an index is refused, since the sum would not cover the shards.
    """
    head = _head(path)
    if head.startswith(_LFS):
        raise ModelError(
            f"{location}: is a git-lfs pointer, not the file itself\nhelp: run git lfs pull where it was cloned"
        )
    if path.name.endswith(_INDEX):
        if checked:
            raise ModelError(
                f"{location}: source.sha256 would cover this index alone, and none of the shards that it names\n"
                "help: leave source.sha256 out, or save the weights as one file: pitstop export "
                f"{location} -o model.safetensors"
            )
        if "://" in location:
            raise ModelError(
                f"{location}: is an index of shards, and the shards of a URL are not fetched\n"
                "help: bring the whole folder here, and name the index in it as source.weights"
            )
        return _sharded(path, location)
    if path.suffix == ".safetensors" or _is_safetensors(head, path):
        return _safetensors(path, location)
    return _weights_only(path, location)


def tensors_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return `content` if it is a state_dict, else an empty dict. A module's extra state may be anything."""
    weights = [value for key, value in content.items() if not is_extra(key)]
    return dict(content) if weights and all(isinstance(value, torch.Tensor) for value in weights) else {}


def is_extra(key: object) -> bool:
    """Whether a key of a state_dict is for a module's extra state (get_extra_state)."""
    return str(key).rpartition(".")[2] == _EXTRA


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _is_safetensors(head: bytes, path: Path) -> bool:
    # Eight bytes say how long the JSON header is that follows.
    return len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8


def _safetensors(path: Path, location: str) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ModelError(f"{location}: not a safetensors file ({error})\nhelp: save it again") from error


def _sharded(path: Path, location: str) -> dict[str, Any]:
    try:
        shards = sorted(set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{location}: is not an index of shards: it has no weight_map\nhelp: name the model's weights"
        ) from error
    tensors: dict[str, Any] = {}
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise ModelError(f"{location}: names the shard {shard!r}\nhelp: shards lie beside their index")
        beside = path.with_name(shard)
        if not beside.is_file():
            raise ModelError(f"{location}: its shard {shard} is not beside it\nhelp: copy all of {', '.join(shards)}")
        # By fetch, so that a shard that is a link must be within PITSTOP_SOURCES too.
        tensors |= read(fetch(str(beside)), str(beside))
    return tensors


def _weights_only(path: Path, location: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # A TorchScript file warns before it is refused.
            mapped = zipfile.is_zipfile(path)
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, ModuleNotFoundError, AttributeError) as error:
        if not zipfile.is_zipfile(path) and not _head(path).startswith(b"\x80"):
            raise ModelError(f"{location}: is not a checkpoint that torch can read\nhelp: save it again") from error
        raise PickledError(
            f"{location}: holds a pickled object, not plain weights\n{_TRUST_HELP.format(location)}"
        ) from error
    except Exception as error:
        raise ModelError(f"{location}: torch cannot read it ({type(error).__name__})\nhelp: save it again") from error
    if not isinstance(content, Mapping):
        what = f"{location}: holds a {type(content).__name__}, not a state_dict"
        raise ModelError(f"{what}\nhelp: save module.state_dict() with torch.save, or as safetensors")
    return dict(content)
