"""The results file, and the table that docs/reliability.md holds between two marks: the one is made from the other."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pitstop.measure import results
from pitstop.report.markdown import row, table

from ..cache import PROJECT
from ..script import RESULTS
from .row import Row

PAGE = PROJECT / "docs" / "reliability.md"
BEGIN, END = "<!-- table: make reliability -->", "<!-- end of table -->"
NOT_MEASURED = "Not measured yet: `make reliability` fills this in."
_COLUMNS = ("fault", "server", "load", "sent", "failed", "wrong", "recovered after", "what was seen", "row")


def write(rows: Sequence[Row], head: Mapping[str, Any]) -> Path:
    """Write the results file and the page's table; return the file."""
    record = {**head, "rows": [each.as_json() for each in rows]}
    path = results.write(RESULTS, results.stem("reliability", record), record)
    PAGE.write_text(with_table(PAGE.read_text(), page_table(record)))
    return path


def latest() -> Path | None:
    """Return the results file that the page is made from: the one measured last."""
    found = sorted(RESULTS.glob("reliability_*.json"), key=lambda path: str(json.loads(path.read_text())["date"]))
    return found[-1] if found else None


def with_table(page: str, text: str) -> str:
    """Return the page with another table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def table_of(page: str) -> str:
    """Return what is between the page's marks."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def page_table(record: Mapping[str, Any]) -> str:
    """Write the table of a results file; rows of one fault stand together."""
    rows = record["rows"]
    order = list(dict.fromkeys(each["name"] for each in rows))
    cells = [_cells(each) for each in sorted(rows, key=lambda each: order.index(each["name"]))]
    return "\n".join([f"{results.told(record)} `{record['command']}`.\n", *table(_COLUMNS, cells)])


def line(measured: Row) -> str:
    """Write one row, for the terminal."""
    kinds = "".join(f"\n  {count} x {kind}" for kind, count in measured.errors.items())
    return row(_cells(measured.as_json())) + kinds + "".join(f"\n  {example}" for example in measured.examples)


def _cells(measured: Mapping[str, Any]) -> list[str]:
    repeat = measured["command"].removeprefix("python -m benchmarks.reliability ")
    if measured["aborted"]:
        found = ["", "", "", "", f"not measured: {' '.join(measured['aborted'].split())[:120]}"]
    else:
        recovered = measured["recovered_s"]
        after = "not seen" if recovered is None else f"{recovered:.1f} s" if recovered >= 0.05 else "at once"
        counts = [f"{measured[name]:,}" for name in ("sent", "failed", "wrong")]
        found = [*counts, after, measured["note"]]
    return [measured["fault"], measured["server"], measured["load"], *found, f"`{repeat}`"]
