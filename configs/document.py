"""Reads a YAML file and records the line of every key, so that an error can name it.

A key given twice is refused, because YAML would keep the last one without a message.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .problems import ConfigError, Keys, Problem, UnreadableError
from .yaml_numbers import surprising_numbers

_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Document:
    path: Path
    raw: dict[str, Any]
    lines: dict[Keys, int]
    surprises: list[Problem]

    def place(self, keys: Keys) -> str:
        """Return `file:line` of a key path, or of its nearest parent in the file."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return f"{self.path}:{self.lines[keys]}" if keys else str(self.path)

    def text(self, problem: Problem) -> str:
        return problem.text(self.place(problem.keys))


def read(path: str | Path) -> Document:
    """Return the file's content and lines; raise ConfigError if it is not a YAML mapping."""
    path = Path(path)
    try:
        root = yaml.compose(_text(path), Loader=yaml.SafeLoader)
        if root is None:
            raise ConfigError(f"{path}: is empty\nhelp: start from serve_config.yaml")
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{path}: is not a mapping at its top level\nhelp: begin with `applications:`")
        _refuse_cycles_and_duplicates(path, root, ())
        # Constructing also resolves merge keys in the nodes, so the lines are read afterwards.
        raw = yaml.SafeLoader("").construct_document(root)
        return Document(path, raw, dict(_lines(root, ())), surprising_numbers(root, raw))
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(path, error)) from error
    except ValueError as error:  # A date such as 2026-13-01.
        raise ConfigError(f"{path}: {error}\nhelp: put such values in quotes") from error


def application(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an application of a config; raise LookupError if there is none with this name."""
    for app in raw["applications"]:
        if app["name"] == name:
            found: dict[str, Any] = app
            return found
    raise LookupError(f"no application {name!r} in the config")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnreadableError(f"{path}: no such file\nhelp: check the path; it is relative to {Path.cwd()}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path}: cannot be read ({error})\nhelp: it must be a readable file in UTF-8") from error


def _syntax(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
    what = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    what = f"{what} ({context})" if context else what
    return f"{place}: is not valid YAML: {what}\nhelp: check indentation, quotes and colons here and just above"


def _refuse_cycles_and_duplicates(path: Path, node: yaml.Node, above: tuple[int, ...]) -> None:
    if id(node) in above:
        line = node.start_mark.line + 1
        raise ConfigError(f"{path}:{line}: an anchor contains itself\nhelp: write `*name` outside of `&name`")
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_cycles_and_duplicates(path, item, above)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag != _MERGE and str(key.value) in seen:
                first = seen[str(key.value)]
                raise ConfigError(
                    f"{path}:{line}: key {key.value!r} is given twice\nhelp: keep this one or line {first}"
                )
            seen[str(key.value)] = line
            _refuse_cycles_and_duplicates(path, value, above)


def _lines(node: yaml.Node, keys: Keys) -> Iterator[tuple[Keys, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*keys, str(key.value)), key.start_mark.line + 1
            yield from _lines(value, (*keys, str(key.value)))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*keys, index), item.start_mark.line + 1
            yield from _lines(item, (*keys, index))
