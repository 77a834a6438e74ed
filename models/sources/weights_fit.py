"""Finds the weights of a network in a checkpoint: the entry that has them, and the prefixes that wrappers left.

Names are changed only if they fit the network afterwards and did not before.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ..errors import ArgumentsError, ModelError
from ..runtime.returned_values import dtype_class
from .checkpoint import is_extra, tensors_of

# DataParallel and DDP, torch.compile, Lightning and many a trainer's own wrapper; nested in any order.
_PREFIXES = ("module.", "_orig_mod.", "model.")

Tensors = Mapping[str, torch.Tensor]


def fitting(content: Mapping[str, Any], expected: Tensors, location: str) -> dict[str, torch.Tensor]:
    """Return the tensors for a network whose state_dict is `expected`; a ModelError names those that do not fit."""
    entries = candidates(content)
    if not entries:
        raise ModelError(f"{location}: holds no weights: {keys_of(content)}\nhelp: save module.state_dict()")
    exact = {entry: named for entry, tensors in entries.items() if (named := _named(tensors, expected)) is not None}
    if len(exact) == 1:
        [tensors] = exact.values()
    elif exact:
        raise ModelError(
            f"{location}: {', '.join(map(repr, exact))} each hold weights of this network\n"
            "help: save the one to serve by itself: torch.save(checkpoint[KEY], PATH)"
        )
    elif len(entries) == 1:
        [tensors] = entries.values()
    else:
        raise ModelError(
            f"{location}: {keys_of(content)}; none of the entries {', '.join(map(repr, entries))} fits the network\n"
            "help: save the weights by themselves: torch.save(checkpoint[KEY], PATH)"
        )
    _check(tensors, expected, location)
    return tensors


def candidates(content: Mapping[str, Any]) -> dict[str, dict[str, torch.Tensor]]:
    """Return each state_dict in a checkpoint by its key: the whole checkpoint under "", or those of its entries."""
    own = tensors_of(content)
    if own:
        return {"": own}
    entries = {str(key): tensors_of(value) for key, value in content.items() if isinstance(value, Mapping)}
    return {key: tensors for key, tensors in entries.items() if tensors}


def keys_of(content: Mapping[str, Any]) -> str:
    names = [str(key) for key in content]
    return f"it holds the keys {_some(names, 8)}" if names else "it is empty"


def _named(tensors: dict[str, torch.Tensor], expected: Tensors) -> dict[str, torch.Tensor] | None:
    return next((each for each in _renamed(tensors) if each.keys() == expected.keys()), None)


def _renamed(tensors: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the tensors as they are, then with one prefix after the other removed."""
    yield tensors
    while prefix := next((each for each in _PREFIXES if all(key.startswith(each) for key in tensors)), ""):
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
        yield tensors


def _check(tensors: Tensors, expected: Tensors, location: str) -> None:
    missing, surplus = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    # Extra state has no shape to keep to, and need not be a tensor.
    shared = sorted(key for key in expected.keys() & tensors.keys() if not is_extra(key))
    shapes = [
        f"{key} is {list(tensors[key].shape)}, the network has {list(expected[key].shape)}"
        for key in shared
        if tensors[key].shape != expected[key].shape
    ]
    dtypes = [
        f"{key} is {tensors[key].dtype}, the network has {expected[key].dtype}"
        for key in shared
        if dtype_class(tensors[key].dtype) != dtype_class(expected[key].dtype)
    ]
    wrong = {"missing": missing, "unknown": surplus, "wrong shape:": shapes, "wrong dtype:": dtypes}
    said = [f"{what} {_some(names)}" for what, names in wrong.items() if names]
    if said:
        what = f"{location}: does not fit the network: {'; '.join(said)}"
        if dtypes and len(said) == 1:
            help_ = "weights may differ in width (FP16, FP32), not in kind; save them again from the network itself"
            raise ModelError(f"{what}\nhelp: {help_}")
        help_ = "check {arguments} (number of classes, width) and that the checkpoint is this network's"
        raise ArgumentsError(what, help_)


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
