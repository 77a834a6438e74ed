"""Numbers that YAML 1.1 reads as other numbers: 010 is 8 (octal), 1:30 is 90 (base 60)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from .problems import Keys, Problem, where

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_SURPRISING = re.compile(r"[-+]?0[0-7_]+|.*:.*")
_HELP = "write it in plain digits, or in quotes if it is text"


def surprising_numbers(root: yaml.Node, raw: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each such number in a document; `raw` gives list items their names."""
    return [
        Problem(keys, where(raw, keys), f"is written {node.value}, which YAML reads as {_read(node)}", _HELP)
        for keys, node in _scalars(root, ())
    ]


def _scalars(node: yaml.Node, keys: Keys) -> Iterator[tuple[Keys, yaml.ScalarNode]]:
    if isinstance(node, yaml.MappingNode):
        # Merged keys come first; the mapping's own value of the same key counts.
        for key, value in {str(key.value): value for key, value in node.value}.items():
            yield from _scalars(value, (*keys, key))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _scalars(item, (*keys, index))
    elif isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and _SURPRISING.fullmatch(node.value):
        yield keys, node


def _read(node: yaml.ScalarNode) -> object:
    """Read one value alone, because YAML may read its key as something else, such as `on` as true."""
    return yaml.SafeLoader("").construct_object(node)
