"""Problems of a config file, and how they are reported: where, what, and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Keys = tuple[str | int, ...]
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `keys` is its key path from the top of the file; `where` is that path as people read it.

    `kind` is pydantic's name for the error, if the schema found it.
    """

    keys: Keys
    where: str
    what: str
    help: str
    severity: Severity = "error"
    kind: str = ""

    def text(self, place: str) -> str:
        """Return two lines; `place` is the file with its line, or whatever else names the config."""
        parts = [place, self.where, self.what] if self.where else [place, self.what]
        return ": ".join(parts) + f"\nhelp: {self.help}"


class ConfigError(Exception):
    """A config that cannot be used. Its text lists every problem found."""

    def __init__(self, text: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(text)
        self.problems = tuple(problems)


class UnreadableError(ConfigError):
    """The file cannot be read."""


def where(raw: object, keys: Keys) -> str:
    """Write a key path for people: `applications[1] (digits).args.max_batch_size`. A list item shows its name."""
    text = ""
    for key in keys:
        raw = child(raw, key)
        if isinstance(key, str):
            text += f".{key}" if text else key
            continue
        name = raw.get("name") if isinstance(raw, Mapping) else None
        text += f"[{key}] ({name})" if isinstance(name, str) and name else f"[{key}]"
    return text


def child(raw: object, key: str | int) -> Any:
    """Return what lies under one key, or None."""
    if isinstance(raw, Mapping):
        return raw.get(key)
    if isinstance(raw, list) and isinstance(key, int) and 0 <= key < len(raw):
        return raw[key]
    return None


def value_at(raw: object, keys: Keys) -> Any:
    """Return what lies under a key path, or None."""
    for key in keys:
        raw = child(raw, key)
    return raw


def mapping(raw: object, *keys: str | int) -> Mapping[str, Any]:
    """Return the mapping under a key path; empty if there is none, so that the linter needs no checks."""
    found = value_at(raw, keys)
    return found if isinstance(found, Mapping) else {}


def items(raw: object, key: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the mappings in the list under `key`, each with its index."""
    found = child(raw, key)
    return [(i, item) for i, item in enumerate(found) if isinstance(item, Mapping)] if isinstance(found, list) else []
