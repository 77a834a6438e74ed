"""The line of a config as it was meant, where YAML reads another value: a comma is missing, a number is in quotes."""

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import yaml

from .named_size import named_size
from .problems import Keys

_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_LONGEST_LINE = 120


def corrected(kind: str, keys: Keys, given: object, whole: object = None) -> str | None:
    """Return `key: value` as it may have been meant, or None where nothing tells.

    Args:
        kind: pydantic's name for the error.
        keys: where the value is.
        given: the value.
        whole: the list that it is in, where it is an item.
    """
    if kind == "value_error" and isinstance(given, Mapping) and "shape" in given:  # A rule of the whole tensor.
        kind, keys, given = "tuple_type", (*keys, "shape"), given["shape"]
    elif keys and isinstance(keys[-1], int):
        kind, keys, given = "tuple_type", keys[:-1], whole
    if not keys or kind not in _MEANT:
        return None
    value = _MEANT[kind](given, str(keys[-1]))
    if value is None or repr(value) == repr(given):
        return None
    text = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=math.inf)
    line = f"{keys[-1]}: {text.strip()[1:-1]}"
    return line if len(line) <= _LONGEST_LINE else None


def _list(given: object, key: str) -> list[Any] | None:
    if isinstance(given, Mapping):  # One tensor without the list of all.
        return [dict(given)] if "datatype" in given else None
    parts = given if isinstance(given, list | tuple) else [given]
    words = [word for part in parts for word in (_words(part) if isinstance(part, str) else [part])]
    sizes = [_size(word, key) for word in words]
    if not sizes or None in sizes or (key == "shape" and type(sizes[0]) is int and sizes[0] != -1):
        return None
    return sizes


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text.strip("[] ")) if word]


def _size(word: object, key: str) -> int | str | None:
    if (number := _whole(word, key)) is not None:
        return number
    if key == "shape" and isinstance(word, str):
        with suppress(ValueError):
            return named_size(0, word).text
    return None


def _number(given: object, _key: str) -> int | float | None:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return None
    with suppress(ValueError, OverflowError):
        number = float(given)
        if abs(number) < 2**53:
            return int(number) if number == int(number) else number
    return None


def _whole(given: object, key: str) -> int | None:
    number = _number(given, key)
    return number if isinstance(number, int) else None


def _number_or_word(given: object, key: str) -> int | float | None:
    """Read what may be a word too, by rules of its own."""
    return _number(given, key) if key in ("high", "pad") else None


def _name(given: object, key: str) -> str | None:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", str(given)).strip("-._") or None if key in ("name", "version") else None


def _switch(given: object, _key: str) -> bool | None:
    return _SWITCHES.get(given.lower()) if isinstance(given, str) else None


# By pydantic's name for the error.
_MEANT: dict[str, Callable[[object, str], Any]] = {
    "tuple_type": _list,
    "int_type": _whole,
    "float_type": _number,
    "value_error": _number_or_word,
    "bool_type": _switch,
    "string_pattern_mismatch": _name,
}
