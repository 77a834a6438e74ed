"""docs/metrics.md has every metric of this project's with its type and labels, every kind of error, and no other."""

import re

from deployments.core.errors import KINDS
from pitstop.project import PROJECT
from tests.metric_names import made

PAGE = (PROJECT / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_the_page_of_metrics_lists_those_there_are() -> None:
    rows = re.findall(r"^\| `ray_(pitstop_\w+)` \| (\w+) \| [^|]+ \|([^|]*)\|", PAGE, re.MULTILINE)
    listed = [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows]
    exported = [(each.name + "_total" * (each.kind == "Counter"), each.kind.lower(), each.labels) for each in made()]
    assert sorted(listed) == sorted(exported)


def test_the_page_of_metrics_names_every_kind_of_error() -> None:
    listed = re.findall(r"^\| `(\w+)` \| \d{3}(?: or \d{3})? \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(KINDS)
