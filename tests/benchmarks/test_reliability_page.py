"""The table of docs/reliability.md is what was measured, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reliability import report
from benchmarks.reliability.cases import CASES
from benchmarks.reliability.row import Row
from benchmarks.script import RESULTS


def table_of(page: str) -> str:
    """Return what is between the page's marks."""
    return page.partition(report.BEGIN)[2].partition(report.END)[0].strip()


def test_the_page_has_the_table_of_the_latest_results() -> None:
    records = [json.loads(path.read_text()) for path in RESULTS.glob("reliability_*.json")]
    latest = max(records, key=lambda each: str(each["date"]))
    assert table_of(report.PAGE.read_text()) == report.page_table(latest)


def test_rows_of_one_fault_stand_together_and_say_what_repeats_them(record: dict[str, Any]) -> None:
    rows = [
        Row("a", "pitstop", "the first", "100/s", sent=1000, recovered_s=1.23),
        Row("b", "pitstop", "the second", "100/s", aborted="ServerError: not ready\nafter 180 s"),
        Row("a", "Ray Serve", "the first", "100/s", sent=1000, failed=7, wrong=3, recovered_s=None),
    ]
    text = report.page_table({**record, "rows": [row.as_json() for row in rows]})
    assert text.splitlines()[4:] == [
        "| the first | pitstop | 100/s | 1,000 | 0 | 0 | 1.2 s |  | `a` |",
        "| the first | Ray Serve | 100/s | 1,000 | 7 | 3 | not seen |  | `a --server ray-serve` |",
        "| the second | pitstop | 100/s |  |  |  |  | not measured: ServerError: not ready after 180 s | `b` |",
    ]


def test_rows_that_are_measured_again_take_the_place_of_theirs_and_the_page_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any]
) -> None:
    page, path = tmp_path / "page.md", tmp_path / "reliability.json"
    page.write_text(f"before\n{report.BEGIN}\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    first = [Row(name, "pitstop", name, "100/s", sent=1, recovered_s=1.0) for name in ("a", "b")]
    path.write_text(json.dumps({**record, "rows": [row.as_json() for row in first]}))
    again = [Row(name, "pitstop", name, "100/s", sent=2, recovered_s=2.0) for name in ("b", "c")]
    report.write_again(path, again, {**record, "commit": "def", "date": "2026-11-27T12:00:00+00:00"})
    assert [(row["name"], row["sent"]) for row in json.loads(path.read_text())["rows"]] == [
        ("a", 1),
        ("b", 2),
        ("c", 2),
    ]
    assert "Measured again on 2026-11-27 at commit def: `b`, `c`.\n\n| fault" in page.read_text()
    assert page.read_text().startswith("before\n")


def test_a_new_table_leaves_the_rest_of_the_page() -> None:
    page = report.with_table(report.PAGE.read_text(), "| a |")
    assert table_of(page) == "| a |"
    assert report.with_table(page, table_of(report.PAGE.read_text())) == report.PAGE.read_text()


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
