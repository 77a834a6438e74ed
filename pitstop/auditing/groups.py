"""Puts the steps in the order in which they are shown: the way to the config first, then what lies beside it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from .step import Step

_TITLES = ("one row at a time", "in batches, as configured", "other settings", "for comparison")


@dataclass(frozen=True, slots=True)
class Group:
    """Steps under one heading."""

    title: str
    steps: tuple[Step, ...]


def grouped(steps: Sequence[Step]) -> list[Group]:
    """Return the groups that have a step, in order."""
    found: dict[str, list[Step]] = {title: [] for title in _TITLES}
    for step in steps:
        found[_TITLES[_group(step)]].append(step)
    return [Group(title, tuple(each)) for title, each in found.items() if each]


def _group(step: Step) -> int:
    key, kind = step.head.key, step.head.kind
    if key.startswith("shapes-") or key == "cpu":
        return 3
    return {"mistake": 0, "path": 0, "batch": 1, "option": 2}[kind]
