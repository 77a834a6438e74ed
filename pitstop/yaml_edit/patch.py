"""Sets values in a YAML file's text and leaves every other line, comments included, as it was.

ruamel.yaml makes the edit, and what PyYAML reads afterwards decides. Anchors let several applications share a block:
those that were not meant keep what they had, written out. What comes out differs in the asked-for values and nowhere
else, or there is a PatchError and no text at all.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from configs.problems import Keys, child, value_at, where

from .merge import merge
from .text import dump, node, round_trip


class PatchError(Exception):
    """The text cannot be changed in place; says what to do by hand."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value to set. `default` is what others that share the block go on with, where it did not have the key."""

    keys: Keys
    value: Any
    default: Any = None


def patch(text: str, changes: Sequence[Change]) -> str:
    """Return the text with every change made.

    Raises:
        PatchError: a change would touch more of the file.
    """
    for change in changes:
        before = _read(text)
        if value_at(before, change.keys) == change.value:
            continue
        try:
            text = _patched(text, change)
        except (yaml.YAMLError, YAMLError, LookupError, TypeError) as error:
            raise _refusal(change, before) from error
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


def _patched(text: str, change: Change) -> str:
    """Edit one place after the other, until the file reads as wanted: the change's own, then what shares its block."""
    wanted = _read(text)
    put(wanted, change.keys, change.value)
    editor = round_trip()
    tree = editor.load(text)
    _keep_anchors(tree)
    before, edited, tried = dump(editor, tree), text, set[Keys]()
    while (place := _difference(_read(edited), wanted)) is not None:
        if place in tried:
            raise LookupError(place)
        tried.add(place)
        if value_at(wanted, place) is None and change.default is not None:
            # A key new to a block that others share: they go on with the default.
            put(wanted, place, change.default)
        _edit(tree, place, wanted)
        edited = merge(text, before, dump(editor, tree))
    return edited


def _edit(tree: Any, keys: Keys, wanted: Any) -> None:
    """Write one value into the tree; what is shared on the way to it gets a copy here."""
    inner = tree
    for depth, key in enumerate(keys[:-1]):
        if not _is_own(tree, inner, key):
            inner[key] = node(value_at(wanted, keys[: depth + 1]))
            return
        inner = inner[key]
    if not inner:
        inner.fa.set_flow_style()
    inner[keys[-1]] = node(value_at(wanted, keys))


def _keep_anchors(tree: Any) -> None:
    """Also those that no alias names any more."""
    for parent, key in _places(tree):
        if (anchor := getattr(parent[key], "anchor", None)) is not None:
            anchor.always_dump = True


def _is_own(tree: Any, parent: Any, key: str | int) -> bool:
    """Whether a value is written at this place: not merged into it, and no alias of an anchor further up."""
    if isinstance(parent, CommentedMap) and key not in dict(parent.non_merged_items()):
        return False
    first = next(place for place in _places(tree) if place[0][place[1]] is parent[key])
    return first[0] is parent and bool(first[1] == key)


def _places(tree: Any) -> Iterator[tuple[Any, str | int]]:
    """Yield every place in a tree, in the file's order, as what holds it and its key."""
    items = tree.non_merged_items() if isinstance(tree, CommentedMap) else ()
    for key, inner in enumerate(tree) if isinstance(tree, CommentedSeq) else items:
        yield tree, key
        yield from _places(inner)


def _difference(found: Any, wanted: Any, keys: Keys = ()) -> Keys | None:
    """Return the first place where two contents differ, None where they are equal."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        inner: list[str | int] = [*found, *(key for key in wanted if key not in found)]
        if missing := next((key for key in inner if key not in found or key not in wanted), None):
            return (*keys, missing)
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        inner = list(range(len(found)))
    else:
        return None if found == wanted else keys
    different = (_difference(found[key], wanted[key], (*keys, key)) for key in inner)
    return next((place for place in different if place is not None), None)


def _read(text: str) -> Any:
    """Return what PyYAML reads, so that nothing in it is shared: an alias gives one object in several places."""
    return _plain(yaml.safe_load(text))


def put(raw: Any, keys: Keys, value: Any) -> None:
    """Set what lies under a key path; mappings on the way to it that are missing are made."""
    for key in keys[:-1]:
        inner = child(raw, key)
        if not isinstance(inner, dict | list):
            inner = raw[key] = {}
        raw = inner
    raw[keys[-1]] = value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _refusal(change: Change, raw: Any) -> PatchError:
    place = where(raw, change.keys)
    return PatchError(
        f"{place} cannot be changed without touching more of the file\nhelp: write {_flow(change.value)} there by hand"
    )


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("...\n").rstrip("\n")
