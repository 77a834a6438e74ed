"""Writes YAML with ruamel.yaml, which keeps comments, in the style of the shipped configs.

ruamel.yaml writes YAML 1.2 and PyYAML, which reads the configs, YAML 1.1: `on` is text in one and true in the other.
So PyYAML writes each new scalar.
"""

import io
from collections.abc import Mapping
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

# No line is broken in two.
_WIDTH = 1 << 20


def round_trip() -> YAML:
    """Return an editor that keeps comments, the order of keys and quotes."""
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = _WIDTH
    editor.indent(mapping=2, sequence=4, offset=2)
    return editor


def dump(editor: YAML, tree: Any) -> str:
    stream = io.StringIO()
    editor.dump(tree, stream)
    return stream.getvalue()


def node(value: Any) -> Any:
    """Return a value as ruamel.yaml's nodes; a list without mappings stands on one line."""
    if isinstance(value, Mapping):
        return CommentedMap((node(key), node(inner)) for key, inner in value.items())
    if isinstance(value, list):
        items = CommentedSeq(map(node, value))
        if not any(isinstance(each, Mapping) for each in value):
            items.fa.set_flow_style()
        return items
    return round_trip().load(yaml.safe_dump(value, allow_unicode=True))
