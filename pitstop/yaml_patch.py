"""Sets values in a YAML file's text and leaves every other character, comments included, as it was.

PyYAML says where each value stands; only that place is rewritten. Anchors make one text serve several applications:
those that were not meant keep what they had, in a copy of their own. What comes out is parsed again and must differ in
the asked-for values and nowhere else, or there is a PatchError and no text at all.
"""

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from configs.problems import Keys, child, where

from .yaml_place import Alias, Use, block, compose, end_of, flow, follow, own_keys, uses

# Each step settles one alias; a file has at most some dozens.
_MOST_STEPS = 1000


class PatchError(Exception):
    """The text cannot be changed in place; says what to do by hand."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value to set. `default` is what others that share the block go on with, where it did not have the key."""

    keys: Keys
    value: Any
    default: Any = None


def patch(text: str, changes: Sequence[Change]) -> str:
    """Return the text with every change made."""
    for change in changes:
        before = _plain(yaml.safe_load(text))
        if at(before, change.keys) == change.value:
            continue
        try:
            patched = _settle(text, change)
            after = _plain(yaml.safe_load(patched))
        except (yaml.YAMLError, LookupError, TypeError) as error:
            raise _refusal(change, before) from error
        if not _as_meant(before, after, change):
            raise _refusal(change, before)
        text = patched
    return text


def diff(before: str, after: str, path: Path) -> str:
    """Return a unified diff, empty where nothing changed."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old, new, str(path), f"{path} (new)", n=2))


def write(path: Path, text: str) -> None:
    """Replace the file at once, so that nobody reads half of it."""
    path = path.resolve()
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(path.stat().st_mode)
    beside.replace(path)


def at(raw: Any, keys: Keys) -> Any:
    """Return what lies under a key path, or None."""
    for key in keys:
        raw = child(raw, key)
    return raw


def _settle(text: str, change: Change) -> str:
    """Part with the aliases in the way, one at a time, then make the change."""
    for _ in range(_MOST_STEPS):
        root, raw = compose(text), yaml.safe_load(text)
        nodes, rest = follow(root, change.keys)
        if isinstance(nodes[-1], Alias):
            # The path may go on behind the alias, so that its keys so far lead to the copy.
            done = change.keys[: len(nodes) - 1]
            text = _own_copy(text, next(use for use in uses(root) if use.keys == done and not use.merged), raw)
        elif (use := _affected(root, nodes, change, raw)) is not None:
            text = _keep(text, use, nodes, change, raw) if use.merged else _own_copy(text, use, raw)
        elif rest:
            return _insert(text, nodes[-1], str(rest[0]), _new(raw, change, rest))
        else:
            start, end = nodes[-1].start_mark.index, end_of(text, nodes[-1])
            return text[:start] + flow(change.value) + text[end:]
    raise LookupError("aliases without end")


def _affected(root: yaml.Node, nodes: list[yaml.Node], change: Change, raw: Any) -> Use | None:
    """Return an alias through which the change would reach others, the last one first, so that places stay valid."""
    depths = {id(node): depth for depth, node in enumerate(nodes)}
    for use in reversed(list(uses(root))):
        depth = depths.get(id(use.alias.target))
        if depth is None:
            continue
        if not use.merged:
            return use
        key = change.keys[depth] if depth < len(change.keys) else None
        if key not in own_keys(use.parent) and _kept(use, depth, change, raw) is not None:
            return use
    return None


def _kept(use: Use, depth: int, change: Change, raw: Any) -> Any:
    """Return what a merging mapping must spell out to keep what it has; None where it has nothing to lose."""
    found = at(raw, (*use.keys, change.keys[depth]))
    return change.default if found is None and depth == len(change.keys) - 1 else found


def _keep(text: str, use: Use, nodes: list[yaml.Node], change: Change, raw: Any) -> str:
    depth = next(depth for depth, node in enumerate(nodes) if node is use.alias.target)
    return _insert(text, use.parent, str(change.keys[depth]), _plain(_kept(use, depth, change, raw)))


def _own_copy(text: str, use: Use, raw: Any) -> str:
    """Write in place of `*name` what it stands for."""
    value = _plain(at(raw, use.keys))
    start, end = use.alias.start_mark.index, use.alias.end_mark.index
    if isinstance(use.parent, yaml.MappingNode) and not use.parent.flow_style and isinstance(value, Mapping | list):
        indent = " " * (use.parent.value[0][0].start_mark.column + 2)
        shown = "".join(f"\n{indent}{line}" for line in block(value))
        return text[:start].rstrip(" ") + shown + text[end:]
    return text[:start] + flow(value) + text[end:]


def _insert(text: str, node: yaml.Node, key: str, value: Any) -> str:
    if not isinstance(node, yaml.MappingNode):
        raise LookupError(key)
    if node.flow_style:
        place = len(text[: node.end_mark.index - 1].rstrip())
        comma = ", " if node.value else ""
        return f"{text[:place]}{comma}{key}: {flow(value)}{text[place:]}"
    indent = " " * node.value[0][0].start_mark.column
    place = text.find("\n", end_of(text, node))
    place = len(text) if place < 0 else place
    return text[:place] + "".join(f"\n{indent}{line}" for line in block({key: value})) + text[place:]


def _new(raw: Any, change: Change, rest: Keys) -> Any:
    """Return the value for a key that is not written here; what a merge gave it is kept where it is a mapping."""
    value = _plain(at(raw, change.keys[: len(change.keys) - len(rest) + 1]))
    if len(rest) == 1:
        return change.value
    value = value if isinstance(value, dict) else {}
    _set(value, rest[1:], change.value)
    return value


def _as_meant(before: Any, after: Any, change: Change) -> bool:
    """Whether nothing but the change happened; others may now spell out the default that they had before."""
    expected = copy.deepcopy(before)
    _set(expected, change.keys, change.value)
    return bool(_drop(after, expected, change) == expected)


def _drop(after: Any, expected: Any, change: Change) -> Any:
    """Leave out defaults spelt out where there was nothing before."""
    if isinstance(after, dict) and isinstance(expected, dict):
        new = {key for key in after if key == change.keys[-1] and key not in expected and after[key] == change.default}
        return {key: _drop(value, expected.get(key), change) for key, value in after.items() if key not in new}
    if isinstance(after, list) and isinstance(expected, list) and len(after) == len(expected):
        return [_drop(left, right, change) for left, right in zip(after, expected, strict=True)]
    return after


def _set(raw: Any, keys: Keys, value: Any) -> None:
    for key in keys[:-1]:
        inner = child(raw, key)
        if not isinstance(inner, dict | list):
            inner = raw[key] = {}
        raw = inner
    raw[keys[-1]] = value


def _plain(value: Any) -> Any:
    """Copy a value so that nothing in it is shared: a YAML alias gives one object in several places."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _refusal(change: Change, raw: Any) -> PatchError:
    place = where(raw, change.keys)
    return PatchError(
        f"{place} cannot be changed without touching more of the file\nhelp: write {flow(change.value)} there by hand"
    )
