"""The arguments of a factory that nobody gave, from the shapes of its weights.

A number is taken only if no other fits: what leaves no trace in the weights, as a number of heads, is asked for.
"""

import inspect
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from itertools import combinations, product
from typing import Any

import torch
from torch import nn

from models.errors import ModelError, first_line
from models.sources import checkpoint
from models.sources.files import fetch, shown
from models.sources.resolve import resolve
from models.sources.weights_fit import candidates, fitting
from models.user_code import call

from ..export import signature_flags

_BUDGET_S = 20.0
_MOST_TRIED = 3000
_KINDS = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the factory is called with; `found` are those that the weights told."""

    kwargs: dict[str, Any]
    found: dict[str, int]


def arguments_of(factory: str, weights: str | None, given: Mapping[str, Any]) -> Arguments:
    """Return the arguments of a factory.

    Raises:
        ModelError: one is missing, or several values fit the weights alike.
    """
    parameters = _parameters(factory)
    missing = [each.name for each in parameters if each.default is Parameter.empty and each.name not in given]
    if weights is None:
        if missing:
            raise _missing(factory, missing, "there are no weights to tell them from: name them with --weights, or")
        return Arguments(dict(given), {})
    content = checkpoint.read(fetch(weights), shown(weights))
    if not missing and (_fits(factory, given, content, weights) is None or _is_built_elsewhere(factory, given)):
        return Arguments(dict(given), {})
    numbers = [each.name for each in parameters if type(each.default) is int and each.name not in given]
    # With what is missing, then with one default after the other, as where the weights have other classes.
    until = time.monotonic() + _BUDGET_S
    for names in _groups(missing, numbers):
        fits = _that_fit(factory, names, given, content, weights, until)
        if len(fits) == 1:
            return Arguments({**given, **fits[0]}, fits[0])
        if len(fits) > 1:
            several = [name for name in names if len({fit[name] for fit in fits}) > 1]
            values = ", ".join(str(fit[several[0]]) for fit in fits[:4])
            raise _missing(factory, several, f"the weights fit {several[0]} of {values} alike:")
    if missing:
        raise _missing(factory, missing, "no number fits the weights:")
    return Arguments(dict(given), {})


def _groups(missing: Sequence[str], numbers: Sequence[str]) -> Iterator[list[str]]:
    """Yield which arguments to try together: what is missing, then with one default more, then with two."""
    for more in range(3):
        for group in combinations(numbers, more):
            if names := [*missing, *group]:
                yield names


def _parameters(factory: str) -> list[Parameter]:
    try:
        found = inspect.signature(resolve(factory)).parameters.values()
    except (TypeError, ValueError):  # Built in.
        return []
    return [each for each in found if each.kind in _KINDS]


def _that_fit(
    factory: str,
    names: Sequence[str],
    given: Mapping[str, Any],
    content: Mapping[str, Any],
    weights: str,
    until: float,
) -> list[dict[str, int]]:
    fits = list[dict[str, int]]()
    numbers = _numbers(content)
    for tried, values in enumerate(product(numbers, repeat=len(names))):
        if tried > _MOST_TRIED or time.monotonic() > until or len(fits) > 4:
            break
        arguments = dict(zip(names, values, strict=True))
        if _fits(factory, {**given, **arguments}, content, weights) is None:
            fits.append(arguments)
    return fits


def _fits(factory: str, kwargs: Mapping[str, Any], content: Mapping[str, Any], weights: str) -> str | None:
    """Return why weights do not fit a network of these arguments; None where they do. Only shapes are made."""
    try:
        with torch.device("meta"):
            module = call(resolve(factory), **kwargs)
        if not isinstance(module, nn.Module):
            return "no module"
        fitting(content, call(module.state_dict), weights)
    except Exception as error:  # The factory's own code may refuse a number in any way.
        return first_line(error)
    return None


def _is_built_elsewhere(factory: str, kwargs: Mapping[str, Any]) -> bool:
    """Whether a factory cannot be tried by shapes alone, as one that loads a file: then it is left as it is."""
    try:
        with torch.device("meta"):
            call(resolve(factory), **kwargs)
    except Exception:  # The factory's own code.
        return True
    return False


def _numbers(content: Mapping[str, Any]) -> list[int]:
    """Return the sizes of all weights, and how many layers are counted in their names: the last layers' first."""
    return list(dict.fromkeys(_each_number(content)))


def _each_number(content: Mapping[str, Any]) -> Iterator[int]:
    for tensors in candidates(content).values():
        for value in reversed(tensors.values()):
            yield from value.shape
        for key in tensors:
            yield from (int(part) + 1 for part in key.split(".") if part.isdecimal())
        yield from range(1, 13)


def with_lists(said: str, given: Sequence[str]) -> str:
    """Return what is wrong with a network, and each --arg whose text may have been meant as a list."""
    try:
        return "\n      ".join([said, *lists(signature_flags.kwargs(given))])
    except ModelError:
        return said


def lists(given: Mapping[str, object]) -> Iterator[str]:
    """Yield a sentence for each argument that is a text and may have been meant as a list."""
    for name, value in given.items():
        if isinstance(value, str) and "," in value:
            parts = [part.strip() for part in value.split(",")]
            flag = shlex.quote(f"{name}={json.dumps(parts, separators=(',', ':'), ensure_ascii=False)}")
            yield f"{name} is one text; if it is a list, write --arg {flag}"


def _missing(factory: str, names: Sequence[str], why: str) -> ModelError:
    flags = " ".join(f"--arg {name}=VALUE" for name in names)
    return ModelError(f"{factory} needs {', '.join(names)}\nhelp: {why} give {flags}")
