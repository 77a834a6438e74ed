"""Networks that take a picture: in which size, and with what before them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.errors import ModelError
from models.images import own_size
from models.sources.files import fetch

from ..report.render import render
from .draft import Kind
from .guess import Guess
from .infer import infer
from .options import InitOptions
from .probe import Probe
from .settle import Found

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
# A picture of this size may be one that the network was trained with; a larger one is a photo.
_LARGEST = 256
_USUAL = 224
_SMALLEST = 16
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HOOKS = "hooks.py"


def is_picture(example: Sequence[str]) -> bool:
    return len(example) == 1 and Path(example[0]).suffix.lower() in _ENDINGS


def found(module: nn.Module, file: str, names: Sequence[str]) -> Found:
    """Return the input of a network that takes this picture: in its own size if that is small and runs.

    Raises:
        ModelError: it takes more than a picture, or none of this kind.
    """
    own = _read(file)
    try:
        guessed = infer(module)
    except ModelError:
        guessed = Found([Guess(names[0] if names else "image", [3, *own], planes=2, known={0})])
    if len(guessed.guesses) != 1 or len(guessed.guesses[0].sizes) != 3:
        listed = ", ".join(f"{each.name} {each.datatype} {each.sizes}" for each in guessed.guesses)
        raise ModelError(f"--example {file}: is a picture, and the network takes {listed}\nhelp: give an example of it")
    [guess] = guessed.guesses
    probe = Probe(module, by_name=False)
    own_first = [own, (guess.sizes[1], guess.sizes[2])] if max(own) <= _LARGEST else [(_USUAL, _USUAL), own]
    for dtype, highest in ((torch.uint8, 255), (torch.float32, None)):
        for sides in [*own_first, (guess.sizes[1], guess.sizes[2])]:
            tried = Guess(guess.name, [guess.sizes[0], *sides], dtype, {0, 1, 2}, highest, planes=2)
            if probe.error([tried]) is None:
                return Found([tried])
    return guessed


def prepared(
    found: Found, args: dict[str, Any], options: InitOptions, folder: Path, said: list[str]
) -> tuple[dict[str, Any], Kind]:
    """Return what a config needs so that a picture is a request, and write its hook; nothing for other inputs."""
    if len(found.guesses) != 1 or found.open_axes:
        return {}, "tensors"
    [only] = found.guesses
    picture = (
        len(only.sizes) == 3 and only.sizes[0] in (1, 3) and (only.planes == 2 or min(only.sizes[1:]) >= _SMALLEST)
    )
    if not picture or only.dtype not in (torch.uint8, torch.float32):
        return {}, "tensors"
    if only.dtype == torch.uint8:
        return {}, "picture"
    channels, height, width = only.sizes
    mean, std = _normalization(options.normalize, channels)
    text = render(
        "init/picture_hooks.py.j2", name=args["name"], channels=channels, height=height, width=width, mean=mean, std=std
    )
    (folder / HOOKS).write_text(text, encoding="utf-8")
    if options.normalize is None:
        said.append(
            "pictures are scaled to 0..1; if your training used a mean and a std, give --normalize imagenet or MEAN/STD"
        )
    return {"predict": {"decode": f"{folder}/{HOOKS}:read_picture"}}, "picture"


def _read(file: str) -> tuple[int, int]:
    try:
        _, _, height, width = own_size(fetch(file).read_bytes()).shape
    except ValueError as error:
        raise ModelError(f"--example {file}: {error}\nhelp: name a picture") from error
    return height, width


def _normalization(text: str | None, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if text is None:
        return (0.0,) * channels, (1.0,) * channels
    if text == "imagenet" and channels == 3:
        return _IMAGENET
    try:
        mean, std = (tuple(float(each) for each in part.split(",")) for part in text.split("/"))
        if {len(mean), len(std)} <= {1, channels} and 0.0 not in std:
            return (mean * channels)[:channels], (std * channels)[:channels]
    except ValueError:
        pass
    raise ModelError(
        f"--normalize {text}: is not imagenet (3 channels), nor MEAN/STD\n"
        "help: write it like 0.5/0.5, or 0.1,0.2,0.3/1,1,1"
    )
