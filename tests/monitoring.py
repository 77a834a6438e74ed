"""The expressions of the board and of the rules of configs/monitoring."""

import os
import re
import shutil
from typing import NamedTuple

import pytest
import yaml

from benchmarks.board.panels import panels
from benchmarks.board.prometheus import RULES

_NAME = re.compile(r"\b(?:ray_\w+|pitstop:[\w:]+|up\b)")
_COMPARED = re.compile(r"\s(?:>|<|==|unless)\s(?:on \([\w, ]+\) )?")


class Expression(NamedTuple):
    """A query of the board or of the rules, and where it stands."""

    where: str
    query: str


def tool(name: str) -> str:
    """Return the path of a command of Debian's package `prometheus`; skip the test without it, but fail in CI."""
    found = shutil.which(name)
    if found is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"{name} is not installed: apt-get install prometheus")
    return found


def board() -> list[Expression]:
    """Return the queries of the board's panels."""
    return [Expression(each.title, target.query) for each in panels() for target in each.targets]


def rules(kind: str) -> list[Expression]:
    """Return the expressions of the rules of a kind, `record` or `alert`."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [Expression(rule[kind], rule["expr"]) for group in groups for rule in group["rules"] if kind in rule]


def metrics_in(query: str) -> set[str]:
    """Return the names of the metrics and of the recorded values that a query reads."""
    return set(_NAME.findall(query))


def operands(query: str) -> list[str]:
    """Return both sides of an alert's comparison; numbers are none."""
    return [each for part in _COMPARED.split(query) if metrics_in(each := part.strip())]
