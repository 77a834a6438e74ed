"""Finds sizes for the axes of inputs that no layer tells: those with which the network runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import torch

from models.errors import ModelError, first_line

from .guess import Guess
from .probe import Probe

# What pictures and sequences usually are, then whatever else there may be.
_SIDES = {3: (224, 32, 64, 128, 256, 96, 384, 299, 48, 512), 1: (28, 32, 64, 224, 128, 256)}
_LENGTHS = (16, 32, 64, 100, 128, 24, 50, 96, 256, 512, 1000, 1024)
_MOST = 640
_OPEN = (16, 32, 64, 128, 256, 512)


@dataclass(slots=True)
class Found:
    """The inputs, and the axes that may have any of `open_sizes`; `said` is what a person should know of it."""

    guesses: list[Guess]
    open_axes: list[tuple[Guess, int]] = field(default_factory=list)
    open_sizes: tuple[int, ...] = ()
    said: list[str] = field(default_factory=list)


def settled(probe: Probe, guesses: list[Guess], told: bool = False) -> Found:
    """Find sizes for the axes that no layer needs: the sides of a picture, the length of a sequence.

    `told` says that a flag or an example has the inputs.
    """
    found = Found(guesses)
    pictures = [each for each in guesses if each.planes == 2 and len(each.unknown) == 2]
    sequences = [(each, axis) for each in guesses if each not in pictures and not each.like for axis in each.unknown]
    sequences += [(each, 0) for each in guesses if each.like is not None and each.sizes]
    sides = [(each, axis) for each in pictures for axis in each.unknown]
    if sides:
        _side(probe, found, sides)
    if sequences and not _open(probe, found, sequences):
        length = probe.first(guesses, sequences, chain(_LENGTHS, range(1, _MOST)))
        if length is not None and probe.error(guesses) is None:
            found.said.append(f"{sequences[0][0].name} is {length} long, the first length that ran")
    for each in pictures:
        _as_bytes(probe, guesses, each)
    error = probe.error(guesses)
    if error is not None and told:
        listed = ", ".join(f"{each.name} {each.datatype} {[-1, *each.sizes]}" for each in guesses)
        raise ModelError(
            f"forward does not run with {listed}: {first_line(error)}\n"
            "help: names, datatypes and shapes are as --input, --example or --tokenizer gave them: correct those"
        )
    if error is not None:
        raise unknown([each.name for each in guesses], "no size that was tried runs", error)
    return found


def _side(probe: Probe, found: Found, sides: list[tuple[Guess, int]]) -> None:
    picture, _ = sides[0]
    channels = next((picture.sizes[axis] for axis in sorted(picture.known)), 1)
    usual = _SIDES.get(channels, _SIDES[3])
    side = probe.first(found.guesses, sides, chain(usual, range(4, _MOST)))
    if side is None:
        return
    others = [each for each in usual[:4] if each != side and probe.runs(found.guesses, sides, each)]
    if others:
        found.said.append(
            f"{picture.name} may have other sizes than {side} by {side}: write yours into inputs, or start again with "
            f"--input {_flag(picture)} or an --example"
        )


def _open(probe: Probe, found: Found, axes: list[tuple[Guess, int]]) -> bool:
    """Whether the network runs with any length; then the sizes to warm are those up to its longest."""
    if not all(probe.runs(found.guesses, axes, size) for size in (5, 12, 16)):
        return False
    sizes = [size for size in _OPEN if probe.runs(found.guesses, axes, size)]
    found.open_axes, found.open_sizes = axes, tuple(sizes[:4])
    for each, axis in axes:
        each.sizes[axis] = found.open_sizes[0]
    return True


def _as_bytes(probe: Probe, guesses: Sequence[Guess], picture: Guess) -> None:
    """Take bytes where the network divides by 255: then a picture needs no preparation."""
    if picture.pixels and picture.dtype == torch.float32:
        picture.dtype, picture.highest = torch.uint8, 255
        if probe.error(guesses) is not None:
            picture.dtype, picture.highest = torch.float32, None


def _flag(guess: Guess) -> str:
    sizes = ",".join(str(size) if axis in guess.known else "SIZE" for axis, size in enumerate(guess.sizes))
    return f"{guess.name}:{guess.datatype}:-1,{sizes}"


def unknown(names: Sequence[str], why: str, error: Exception | None) -> ModelError:
    last = f"; the last error was: {first_line(error)}" if error is not None else ""
    flags = " ".join(f"--input {name}:FP32:-1,3,224,224" for name in names)
    return ModelError(
        f"forward takes {' and '.join(names)}, and what that is cannot be found out: {why}{last}\n"
        f"help: give a real input with --example FILE (.npy, .npz, .pt, .json, .txt or a picture), or say it: {flags}, "
        "with the datatype and the shape that yours has; -1 is a size that is open"
    )
