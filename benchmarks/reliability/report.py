"""The results file, and the table that docs/reliability.md holds between two marks: the one is made from the other."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cache import PROJECT
from ..results import file_stem
from .row import Row

PAGE = PROJECT / "docs" / "reliability.md"
RESULTS = PROJECT / "benchmarks" / "results"
BEGIN, END = "<!-- table: make reliability -->", "<!-- end of table -->"
NOT_MEASURED = "Not measured yet: `make reliability` fills this in."
_COLUMNS = ("fault", "server", "load", "sent", "failed", "wrong", "recovered after", "what was seen", "row")


def write(
    rows: Sequence[Row],
    hardware: Mapping[str, Any],
    versions: Mapping[str, str],
    commit: str,
    command: str,
    date: str,
    load_average: Sequence[float],
) -> Path:
    """Write the results file and the page's table; return the file."""
    record = {
        "hardware": hardware,
        "versions": versions,
        "commit": commit,
        "command": command,
        "date": date,
        "load_average": list(load_average),
        "rows": [row.as_json() for row in rows],
    }
    return _written(RESULTS / f"{file_stem('reliability', hardware, date)}.json", record)


def write_again(path: Path, rows: Sequence[Row], commit: str, command: str, date: str) -> Path:
    """Put rows that were measured again into a results file, and write the page's table; return the file."""
    record = json.loads(path.read_text())
    measured = {(row.name, row.server): row.as_json() for row in rows}
    kept = [measured.pop((row["name"], row["server"]), row) for row in record["rows"]]
    names = list(dict.fromkeys(row.name for row in rows))
    again = [*record.get("again", []), {"rows": names, "commit": commit, "command": command, "date": date}]
    return _written(path, {**record, "rows": [*kept, *measured.values()], "again": again})


def _written(path: Path, record: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(record, indent=1) + "\n")
    PAGE.write_text(with_table(PAGE.read_text(), table(record)))
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


def table(record: Mapping[str, Any]) -> str:
    """Write the table of a results file; rows of one fault stand together."""
    hardware, rows, again = record["hardware"], record["rows"], record.get("again", [])
    order = list(dict.fromkeys(row["name"] for row in rows))
    lines = [
        f"{hardware['cpu']}, {hardware['cores']} cores; {record['date'][:10]}; commit {record['commit']}; load average"
        f" before: {record['load_average'][0]:.1f}; `{record['command']}`.",
        *(_again(each) for each in again),
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|" + "---|" * len(_COLUMNS),
        *(_line(row) for row in sorted(rows, key=lambda row: order.index(row["name"]))),
    ]
    return "\n".join(lines)


def line(row: Row) -> str:
    """Write one row, for the terminal."""
    kinds = "".join(f"\n  {count} x {kind}" for kind, count in row.errors.items())
    return _line(row.as_json()) + kinds + "".join(f"\n  {example}" for example in row.examples)


def _line(row: Mapping[str, Any]) -> str:
    repeat = row["command"].removeprefix("python -m benchmarks.reliability ")
    if row["aborted"]:
        cells = ["", "", "", "", f"not measured: {_one_line(row['aborted'])}"]
    else:
        recovered = row["recovered_s"]
        after = "not seen" if recovered is None else f"{recovered:.1f} s" if recovered >= 0.05 else "at once"
        cells = [f"{row['sent']:,}", f"{row['failed']:,}", f"{row['wrong']:,}", after, row["note"]]
    return f"| {' | '.join([row['fault'], row['server'], row['load'], *cells, f'`{repeat}`'])} |"


def _again(measured: Mapping[str, Any]) -> str:
    names = ", ".join(f"`{name}`" for name in measured["rows"])
    return f"Measured again on {measured['date'][:10]} at commit {measured['commit']}: {names}."


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")[:120]
