"""Runs a network on guessed inputs, for what it reaches and for the sizes with which it runs."""

import time
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from models.user_code import call

from .entries import Entries, watched
from .guess import Guess

# For all sizes that are tried of one network.
_BUDGET_S = 30.0
Axes = Sequence[tuple[Guess, int]]


class Probe:
    """A network in eval, run without gradients; its inputs are passed by name where forward names them."""

    def __init__(self, module: nn.Module, by_name: bool) -> None:
        self.module = module
        self._by_name = by_name
        self._until = time.monotonic() + _BUDGET_S

    def watch(self, guesses: Sequence[Guess]) -> tuple[Entries, Exception | None]:
        """Run it; return the layers that each input reached, and what was raised."""
        inputs = {each.name: each.drawn() for each in guesses}
        with torch.no_grad():
            return watched(self.module, inputs, lambda: self._call(inputs))

    def error(self, guesses: Sequence[Guess]) -> Exception | None:
        """Run it; return what it raised."""
        try:
            with torch.no_grad():
                self._call({each.name: each.drawn() for each in guesses})
        except Exception as error:  # The user's own code.
            return error
        return None

    def first(self, guesses: Sequence[Guess], axes: Axes, sizes: Iterable[int]) -> int | None:
        """Return the first size of these axes with which it runs, and leave it in the guesses; None if none."""
        for size in sizes:
            if time.monotonic() > self._until:
                break
            if self.runs(guesses, axes, size):
                _put(axes, [size] * len(axes))
                return size
        return None

    def runs(self, guesses: Sequence[Guess], axes: Axes, size: int) -> bool:
        """Whether it runs with this size of these axes; the guesses stay as they are."""
        before = [each.sizes[axis] for each, axis in axes]
        _put(axes, [size] * len(axes))
        try:
            return self.error(guesses) is None
        finally:
            _put(axes, before)

    def _call(self, inputs: dict[str, torch.Tensor]) -> object:
        return call(self.module, **inputs) if self._by_name else call(self.module, *inputs.values())


def _put(axes: Axes, sizes: Sequence[int]) -> None:
    for (guess, axis), size in zip(axes, sizes, strict=True):
        guess.sizes[axis] = size
