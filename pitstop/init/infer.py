"""Finds the inputs of a network that nobody describes: by the layers that they reach, then by sizes that run."""

import inspect
import re
from collections.abc import Sequence
from inspect import Parameter
from itertools import product

import torch
from torch import nn

from models.errors import ModelError
from models.startup.input_binding import parameters_of

from .entries import Entry, Need, first_layer
from .guess import Guess, fresh
from .probe import Probe
from .settle import Found, settled, unknown

_STEPS = 24
_MOST_INPUTS = 4
_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_DICT = re.compile(r"(typing\.|collections\.abc\.)?(dict|Dict|Mapping|MutableMapping)\b")
_MASKS, _COUNTS = ("mask",), ("length", "lengths", "lens")


def infer(module: nn.Module, given: Sequence[Guess] = ()) -> Found:
    """Return the inputs with which a network runs.

    Args:
        module: the network, in eval.
        given: inputs that an example or a flag tells; their sizes stay, but for those of ids.

    Raises:
        ModelError: what is unknown, and how to give it.
    """
    names = needed(module)
    _refuse_dict(module, names or [])
    if given and names is not None and not {each.name for each in given} & set(names):
        names = None
    probe = Probe(module, by_name=names is not None and not isinstance(module, torch.jit.ScriptModule))
    if given:
        _opened(probe, given)
        return settled(probe, list(given), told=True)
    if names is None or not names:
        raise unknown(["inputs"], "forward names no parameters", None)
    if len(names) > _MOST_INPUTS:
        raise unknown(names, f"forward takes {len(names)} inputs", None)
    failure: Exception | None = None
    joined = False
    for ranks in product((1, 2, 3), repeat=len(names)):
        guesses = _first(names, ranks)
        entries, error = _solve(probe, guesses)
        failure = failure or error
        joined |= any(len(each.inputs) > 1 for each in entries[:1])
        if not all(each.like is not None or _has_own_layer(each, entries) for each in guesses):
            continue
        try:
            return settled(probe, guesses)
        except ModelError as unsettled:
            failure = failure or unsettled
    why = "inputs are put together before any layer takes them" if joined else "no layer of the network tells it"
    raise unknown(names, why, failure)


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
        each.limited(entries.found)


def needed(module: nn.Module) -> list[str] | None:
    """Return the parameters of forward that have no default; None where it names none."""
    parameters = parameters_of(module)
    if parameters is None:
        return None
    named = [each for each in parameters if each.kind in (*_NAMED, Parameter.POSITIONAL_ONLY)]
    return [each.name for each in named if each.default is inspect.Parameter.empty]


def _refuse_dict(module: nn.Module, names: Sequence[str]) -> None:
    for each in parameters_of(module) or []:
        if each.name in names and _DICT.match(str(getattr(each.annotation, "__name__", each.annotation))):
            raise ModelError(
                f"forward takes a dict, as {each.name}, and a request has tensors\n"
                "help: serve a module of yours whose forward takes the tensors and calls the network with the dict"
            )


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
            break
    for each in guesses:
        each.limited(found)
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
