"""What the example of `pitstop init` tells: the file for the config, and the inputs that are in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs.schema import ModelConfig
from models.errors import ModelError
from models.signature import NUMPY
from models.sources.files import fetch
from models.startup import inputs_from_example

from .guess import Guess

DTYPES = {name: torch.from_numpy(np.zeros(1, dtype)).dtype for name, dtype in NUMPY.items() if name != "BYTES"}
_TORCH = (".pt", ".pth")


def named(given: Sequence[str], names: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return `example` as a config has it. A file of torch.save is written anew as .npz, into the folder."""
    files = [_as_arrays(each, names, folder) if Path(each).suffix in _TORCH else each for each in given]
    return {"example": files[0] if len(files) == 1 else files} if files else {}


def guesses(config: ModelConfig, names: Sequence[str]) -> list[Guess]:
    """Return the inputs that the example has; an array without a name is forward's only parameter.

    Raises:
        ModelError: it cannot be read, or holds texts, which need a tokenizer.
    """
    found = inputs_from_example.inputs_of(config)
    if any(each.datatype == "BYTES" for each in found):
        raise ModelError(
            f"{config.example}: holds texts, and the network takes numbers\n"
            "help: name the folder of its tokenizer with --tokenizer DIR (a tokenizer.json), or give an example of ids"
        )
    rename = len(found) == len(names) == 1
    return [
        Guess(
            names[0] if rename else each.name,
            list(each.sizes[1:]),
            DTYPES[each.datatype],
            set(range(len(each.sizes) - 1)),
        )
        for each in found
    ]


def _as_arrays(file: str, names: Sequence[str], folder: Path) -> str:
    try:
        content = torch.load(fetch(file), map_location="cpu", weights_only=True)
    except Exception as error:  # Whatever the file holds.
        raise ModelError(
            f"--example {file}: torch cannot read it as plain tensors ({type(error).__name__})\n"
            "help: save a tensor, a tuple or a dict of tensors with torch.save"
        ) from error
    values = [content] if isinstance(content, torch.Tensor) else content
    pairs = values.items() if isinstance(values, dict) else zip(names, values, strict=False)
    arrays = {str(name): value.numpy() for name, value in pairs if isinstance(value, torch.Tensor)}
    if not arrays:
        raise ModelError(f"--example {file}: holds no tensor\nhelp: save a tensor, a tuple or a dict of tensors")
    path = folder / f"{Path(file).stem}.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]  # Their names are the user's.
    return str(path)
