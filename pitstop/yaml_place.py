"""Where values stand in a YAML text: PyYAML's nodes, with each `*alias` kept as a place of its own.

PyYAML hands out the anchor's node for an alias, whose position is the anchor's; here it is told where the alias is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from configs.problems import Keys

MERGE = "<<"


class Alias(yaml.Node):
    """`*name`: stands at its own marks, means `target`."""

    id = "alias"

    def __init__(self, target: yaml.Node, event: Any) -> None:
        super().__init__("alias", None, event.start_mark, event.end_mark)
        self.target = target


@dataclass(frozen=True, slots=True)
class Use:
    """One alias: where it stands in the data, the node around it, and whether it is merged (`<<: *name`)."""

    alias: Alias
    keys: Keys
    parent: yaml.Node
    merged: bool


def compose(text: str) -> yaml.Node:
    node = _Loader(text).get_single_node()
    if node is None:
        raise LookupError("an empty file")
    return node


def follow(root: yaml.Node, keys: Keys) -> tuple[list[yaml.Node], Keys]:
    """Walk down a key path as it is written; return the nodes met, root first, and the keys that are not there."""
    nodes = [root]
    for i, key in enumerate(keys):
        inner = _inner(nodes[-1], key)
        if inner is None:
            return nodes, keys[i:]
        nodes.append(inner)
    return nodes, ()


def own_keys(node: yaml.Node) -> set[str]:
    return {key.value for key, _ in node.value} if isinstance(node, yaml.MappingNode) else set()


def uses(node: yaml.Node, keys: Keys = ()) -> Iterator[Use]:
    """Yield every alias in a tree, file order."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == MERGE:
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                yield from (Use(each, keys, node, True) for each in merged if isinstance(each, Alias))
            elif isinstance(value, Alias):
                yield Use(value, (*keys, str(key.value)), node, False)
            else:
                yield from uses(value, (*keys, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            if isinstance(value, Alias):
                yield Use(value, (*keys, index), node, False)
            else:
                yield from uses(value, (*keys, index))


def end_of(text: str, node: yaml.Node) -> int:
    """Return where a node's text ends. A block's own end mark lies behind the comments and blank lines that follow."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return end_of(text, last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    return len(text[:end].rstrip("\n")) if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">") else end


def flow(value: Any) -> str:
    """Write a value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("...\n").rstrip("\n")


def block(value: Any) -> list[str]:
    """Write a mapping or a list as lines; lists of plain values stay on one."""
    if isinstance(value, Mapping) and value:
        lines = []
        for key, inner in value.items():
            below = _below(inner)
            lines += [f"{flow(key)}: {flow(inner)}"] if below is None else [f"{flow(key)}:", *below]
        return lines
    if isinstance(value, list) and value:
        return [line for item in value for line in _item(item)]
    return [flow(value)]


def _item(item: Any) -> list[str]:
    lines = block(item) if isinstance(item, Mapping) else [flow(item)]
    return [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]


def _below(value: Any) -> list[str] | None:
    nested = isinstance(value, list) and any(isinstance(each, Mapping) for each in value)
    if value and (isinstance(value, Mapping) or nested):
        return [f"  {line}" for line in block(value)]
    return None


def _inner(node: yaml.Node, key: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for each, value in node.value if each.value == key), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        found: yaml.Node = node.value[key]
        return found
    return None


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if not self.check_event(yaml.AliasEvent):
            return super().compose_node(parent, index)
        event = self.peek_event()  # type: ignore[no-untyped-call]
        target = super().compose_node(parent, index)
        assert target is not None
        return Alias(target, event)
