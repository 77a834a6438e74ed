"""The parameters that a request may carry for a task.

They are read before the network runs, where a ValueError is the client's. A form of /predict has them as text.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_FLAGS = {"true": True, "false": False}


def check(parameters: Mapping[str, Any], name: str) -> bool:
    """Return a flag, false by default."""
    given = parameters.get(name, False)
    found = _FLAGS.get(given.lower()) if isinstance(given, str) else given
    if type(found) is not bool:
        raise ValueError(f"parameter {name} must be true or false; got {given!r}")
    return found


def fraction(parameters: Mapping[str, Any], default: float = 0.0) -> float:
    """Return `threshold`, the least score of an answer."""
    given = parameters.get("threshold", default)
    with suppress(ValueError, TypeError):
        if type(given) is not bool and 0 <= (found := float(given)) <= 1:
            return found
    raise ValueError(f"parameter threshold must be a number from 0 to 1; got {given!r}")


def count(parameters: Mapping[str, Any]) -> int | None:
    """Return `top_k`, the most answers a row; None for all."""
    given = parameters.get("top_k")
    if given is None:
        return None
    with suppress(ValueError, TypeError):
        if type(given) in (int, str) and (found := int(given)) > 0:
            return found
    raise ValueError(f"parameter top_k must be a whole number, 1 or more; got {given!r}")
