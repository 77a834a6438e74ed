"""Finds the inputs of a network that nobody describes: by the layers that they reach, then by sizes that run."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import Parameter
from itertools import chain, product

import torch
from torch import nn

from models.errors import ModelError, first_line
from models.startup.input_binding import parameters_of

from .entries import Entry, Need, first_layer
from .guess import Guess, fresh
from .probe import Probe

_STEPS = 24
_MOST_INPUTS = 4
_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
# What pictures and sequences usually are, then whatever else there may be.
_SIDES = {3: (224, 32, 64, 128, 256, 96, 384, 299, 48, 512), 1: (28, 32, 64, 224, 128, 256)}
_LENGTHS = (16, 32, 64, 100, 128, 24, 50, 96, 256, 512, 1000, 1024)
_MOST = 640
_OPEN = (16, 32, 64, 128, 256, 512)
_MASKS, _COUNTS = ("mask",), ("length", "lengths", "lens")


@dataclass(slots=True)
class Found:
    """The inputs, and the axes that may have any of `open_sizes`; `said` is what a person should know of it."""

    guesses: list[Guess]
    open_axes: list[tuple[Guess, int]] = field(default_factory=list)
    open_sizes: tuple[int, ...] = ()
    said: list[str] = field(default_factory=list)


def infer(module: nn.Module, given: Sequence[Guess] = ()) -> Found:
    """Return the inputs with which a network runs.

    Args:
        module: the network, in eval.
        given: inputs that an example or a flag tells; their sizes stay, but for those of ids.

    Raises:
        ModelError: what is unknown, and how to give it.
    """
    names = needed(module)
    if given and names is not None and not {each.name for each in given} & set(names):
        names = None
    probe = Probe(module, by_name=names is not None and not isinstance(module, torch.jit.ScriptModule))
    if given:
        _opened(probe, given)
        return _settled(probe, list(given))
    if names is None or not names:
        raise _unknown(["inputs"], "forward names no parameters", None)
    if len(names) > _MOST_INPUTS:
        raise _unknown(names, f"forward takes {len(names)} inputs", None)
    failure: Exception | None = None
    for ranks in product((1, 2, 3), repeat=len(names)):
        guesses = _first(names, ranks)
        entries, error = _solve(probe, guesses)
        failure = failure or error
        if not all(each.like is not None or _has_own_layer(each, entries) for each in guesses):
            continue
        try:
            return _settled(probe, guesses)
        except ModelError as unsettled:
            failure = failure or unsettled
    raise _unknown(names, "no layer of the network tells it", failure)


def _opened(probe: Probe, given: Sequence[Guess]) -> None:
    """Of ids that an example has, the number may be another: it is the text's. Masks are as long."""
    entries, _ = probe.watch(given)
    for each in given:
        first = next((entry for entry in entries.found if entry.inputs == {each.name}), None)
        if first is not None and first.need.ids is not None:
            each.highest, each.padding = first.need.ids - 1, first.need.padding
            each.known.discard(0)
            for other in given:
                if (
                    other is not each
                    and other.sizes[:1] == each.sizes[:1]
                    and any(word in other.name.lower() for word in _MASKS)
                ):
                    other.like = each.name


def needed(module: nn.Module) -> list[str] | None:
    """Return the parameters of forward that have no default; None where it names none."""
    parameters = parameters_of(module)
    if parameters is None:
        return None
    named = [each for each in parameters if each.kind in (*_NAMED, Parameter.POSITIONAL_ONLY)]
    return [each.name for each in named if each.default is inspect.Parameter.empty]


def _first(names: Sequence[str], ranks: Sequence[int]) -> list[Guess]:
    primes = iter(fresh(24))
    guesses = [Guess(name, fresh(rank, primes)) for name, rank in zip(names, ranks, strict=True)]
    for each in guesses[1:]:
        lower = each.name.lower()
        if any(word in lower for word in _MASKS):
            each.dtype, each.like, each.known = torch.int64, guesses[0].name, {0}
        elif lower in _COUNTS:
            each.dtype, each.sizes, each.like = torch.int64, [], guesses[0].name
    return guesses


def _solve(probe: Probe, guesses: list[Guess]) -> tuple[list[Entry], Exception | None]:
    """Run the network and mend the guesses by what its layers need, until none asks for more."""
    for _ in range(_STEPS):
        _follow(guesses)
        entries, error = probe.watch(guesses)
        found = entries.found or _unwatched(probe.module, guesses)
        for each in guesses:
            each.pixels = each.name in entries.scaled
        if not any(_mended(each, found) for each in guesses):
            return found, error
    return found, error


def _mended(guess: Guess, entries: Sequence[Entry]) -> bool:
    if guess.like is not None:
        return False
    own = [each for each in entries if guess.name in each.inputs]
    return any(
        guess.meets(entry, direct=index == 0 and entry.inputs == {guess.name}) for index, entry in enumerate(own[:6])
    )


def _has_own_layer(guess: Guess, entries: Sequence[Entry]) -> bool:
    """Whether the first layer that an input reaches takes nothing else: what is put together cannot be told apart."""
    first = next((each for each in entries if guess.name in each.inputs), None)
    return first is not None and first.inputs == {guess.name}


def _unwatched(module: nn.Module, guesses: Sequence[Guess]) -> list[Entry]:
    need: Need | None = first_layer(module)
    if need is None or len(guesses) != 1:
        return []
    [only] = guesses
    return [Entry(frozenset([only.name]), (2, *only.sizes), need)]


def _follow(guesses: Sequence[Guess]) -> None:
    """Give masks the sizes of what they mask: the rows' first axis alone."""
    by_name = {each.name: each for each in guesses}
    for each in guesses:
        if each.like is not None and each.sizes:
            each.sizes = by_name[each.like].sizes[:1]


def _settled(probe: Probe, guesses: list[Guess]) -> Found:
    """Find sizes for the axes that no layer needs: the sides of a picture, the length of a sequence."""
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
    if error is not None:
        raise _unknown([each.name for each in guesses], "no size that was tried runs", error)
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


def _unknown(names: Sequence[str], why: str, error: Exception | None) -> ModelError:
    last = f"; the last error was: {first_line(error)}" if error is not None else ""
    flags = " ".join(f"--input {name}:FP32:-1,3,224,224" for name in names)
    return ModelError(
        f"what {' and '.join(names)} of forward {'is' if len(names) == 1 else 'are'} cannot be found out: {why}{last}\n"
        f"help: give a real input with --example FILE (.npy, .npz, .pt, .json, .txt or a picture), or say it: {flags}, "
        "with the datatype and the shape that yours has; -1 is a size that is open"
    )
