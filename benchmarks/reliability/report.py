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
_COLUMNS = ("fault", "server", "load", "sent", "failed", "wrong", "recovered after", "what was seen", "row")


def write(rows: Sequence[Row], head: Mapping[str, Any]) -> Path:
    """Write the results file and the page's table; return the file."""
    record = {**head, "rows": [each.as_json() for each in rows]}
    return _written(results.stem("reliability", record), record)


def write_again(path: Path, rows: Sequence[Row], head: Mapping[str, Any]) -> Path:
    """Put rows that were measured again into a results file, and write the page's table; return the file."""
    record = json.loads(path.read_text())
    measured = {(row.name, row.server): row.as_json() for row in rows}
    kept = [measured.pop((row["name"], row["server"]), row) for row in record["rows"]]
    names = list(dict.fromkeys(row.name for row in rows))
    again = [*record.get("again", []), {"rows": names, **{key: head[key] for key in ("commit", "command", "date")}}]
    return _written(path.stem, {**record, "rows": [*kept, *measured.values()], "again": again})


def _written(stem: str, record: Mapping[str, Any]) -> Path:
    path = results.write(RESULTS, stem, record)
    PAGE.write_text(with_table(PAGE.read_text(), page_table(record)))
    return path


def with_table(page: str, text: str) -> str:
    """Return the page with another table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def page_table(record: Mapping[str, Any]) -> str:
    """Write the table of a results file; rows of one fault stand together."""
    rows = record["rows"]
    order = list(dict.fromkeys(each["name"] for each in rows))
    cells = [_cells(each) for each in sorted(rows, key=lambda each: order.index(each["name"]))]
    again = [_again(each) for each in record.get("again", [])]
    return "\n".join([f"{results.told(record)} `{record['command']}`.", *again, "", *table(_COLUMNS, cells)])


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


def _again(measured: Mapping[str, Any]) -> str:
    names = ", ".join(f"`{name}`" for name in measured["rows"])
    return f"Measured again on {measured['date'][:10]} at commit {measured['commit']}: {names}."
