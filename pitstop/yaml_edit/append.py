"""Puts one more application behind the others of a YAML file; every other byte of it stays as it was."""

import re
from typing import Any

import yaml

from .patch import PatchError

_BY_HAND = "help: put it there by hand: each application is an item of `applications`"


def append_application(text: str, item: str, after: Any) -> str:
    """Return the text with `item` as the last of its applications.

    Args:
        text: the file.
        item: the application as a YAML list item, without indentation; it may use the file's anchors.
        after: the application that the file has to have then.

    Raises:
        PatchError: the file has no list of applications in lines of their own, or would change elsewhere.
    """
    try:
        tree, before = _tree(text), yaml.safe_load(text)
        items = next(value for key, value in tree.value if key.value == "applications")
        if not isinstance(items, yaml.SequenceNode) or items.flow_style or not items.value:
            raise PatchError(f"applications: is no list in lines of its own\n{_BY_HAND}")
        lines = text.splitlines(keepends=True)
        place = _end(lines, items.value[-1].start_mark.line, items.start_mark.column)
        block = "".join(f"{' ' * items.start_mark.column}{line}\n" for line in item.splitlines())
        if lines and not lines[place - 1].endswith("\n"):
            lines[place - 1] += "\n"
        patched = "".join([*lines[:place], "\n", block, *lines[place:]])
        before["applications"].append(after)
        if yaml.safe_load(patched) != before:
            raise PatchError(f"applications: the file would change elsewhere\n{_BY_HAND}")
    except (yaml.YAMLError, StopIteration, AttributeError, TypeError) as error:
        raise PatchError(f"applications: cannot be extended ({type(error).__name__})\n{_BY_HAND}") from error
    return patched


def anchor_of(text: str) -> str | None:
    """Return the anchor of the variables in controller_options, None where they have none."""
    path: list[Any] = ["controller_options", "runtime_env", "env_vars"]
    node = _tree(text)
    for key in path:
        inner = [value for name, value in getattr(node, "value", []) if getattr(name, "value", None) == key]
        if not inner:
            return None
        [node] = inner
    found = re.match(r"&(\S+)", text[node.start_mark.index :])
    return found[1] if found else None


def _tree(text: str) -> yaml.Node:
    node = yaml.compose(text)
    if node is None:
        raise PatchError(f"the file is empty\n{_BY_HAND}")
    return node


def _end(lines: list[str], last: int, column: int) -> int:
    """Return the line behind the last item, which begins on line `last`: comments of what follows are not its own."""
    end = last + 1
    for place in range(last + 1, len(lines)):
        bare = lines[place].strip()
        if bare and len(lines[place]) - len(lines[place].lstrip()) <= column:
            break
        if bare:
            end = place + 1
    return end
