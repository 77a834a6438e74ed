"""docs/metrics.md has every metric of this project's, and no other."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_the_page_of_metrics_lists_those_there_are() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "deployments").rglob("*.py"))
    made = set(re.findall(r"metrics\.(?:Counter|Gauge|Histogram)\(\s*\"(pitstop_\w+)\"", code))
    page = (PROJECT / "docs" / "metrics.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `ray_(pitstop_\w+?)(?:_total)?` \|", page, re.MULTILINE)
    assert made
    assert sorted(listed) == sorted(made)
