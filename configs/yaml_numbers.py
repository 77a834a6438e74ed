"""Numbers that YAML 1.1 reads otherwise than they look: 010 is 8 (octal), 1:30 is 90 (base 60)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from .problems import Keys, Problem, child, where

_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_HELP = "write it in plain digits, or in quotes where it is text"


def surprising_numbers(root: yaml.Node, raw: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each such number in a document; `raw` is what it was read as."""
    found = {keys: (text, _at(raw, keys)) for keys, text in _scalars(root, ())}
    return [
        Problem(keys, where(raw, keys), f"is written {text}, which YAML reads as {value}", _HELP)
        for keys, (text, value) in found.items()
    ]


def _scalars(node: yaml.Node, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(value, (*keys, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _scalars(item, (*keys, index))
    elif node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
        text = str(node.value)
        if ":" in text or _OCTAL.fullmatch(text):
            yield keys, text


def _at(raw: object, keys: Keys) -> object:
    for key in keys:
        raw = child(raw, key)
    return raw
