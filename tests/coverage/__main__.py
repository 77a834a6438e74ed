"""Serves every network of the suite and writes what came of it.

python -m tests.coverage            # writes benchmarks/results/coverage_<hardware>_<yyyymm>.json and .md
python -m tests.coverage --out DIR
"""

import contextlib
import inspect
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pkgutil import resolve_name
from statistics import median
from typing import Any

from benchmarks import script
from pitstop.measure import results
from pitstop.report.markdown import table

from . import files
from .cases import CASES, Case
from .harness import REQUESTS, Outcome, outcome_of

_HOOKS = ("preprocess", "postprocess", "handler", "example")


@dataclass(frozen=True, slots=True)
class Row:
    """A network in the table. `expected` is whether it came as its case says; None where it was not tried."""

    name: str
    yaml_lines: int
    python_lines: int
    came: str
    deviation: float | None
    faster: float | None
    of_transformers: bool
    expected: bool | None


def main() -> None:
    options = script.parser("tests.coverage", __doc__).parse_args()
    head, out = results.head(["python", "-m", "tests.coverage"]), options.out.resolve()
    with tempfile.TemporaryDirectory(prefix="pb-") as name, contextlib.chdir(name):
        os.environ["PITSTOP_CACHE"] = str(Path(name) / "cache")
        files.write(Path(name))
        found = [_row(case) for case in CASES]
    content = {"theme": "coverage", **head, "requests": REQUESTS, "networks": [asdict(each) for each in found]}
    text = _markdown(content, found)
    print(text)
    results.write(out, results.stem("coverage", content), content, text)


def _row(case: Case) -> Row:
    script.say(case.name)
    args = case.args
    lines = len(case.path.read_text(encoding="utf-8").splitlines()), sum(_python_lines(args))
    try:
        found = outcome_of(case)
    except AssertionError as error:
        return Row(case.name, *lines, f"**served wrongly**: {error}", None, None, False, False)
    expected = bool(found.refused) == bool(case.refused) and case.refused in found.refused
    deviation = None if found.refused else found.deviation
    return Row(case.name, *lines, _came(case, args, found), deviation, found.faster, found.of_transformers, expected)


def _python_lines(args: Mapping[str, Any]) -> Iterator[int]:
    """Yield the lines of each hook and example: what is written for serving, beside the network itself."""
    for key in _HOOKS:
        if key in args:
            yield len(inspect.getsource(resolve_name(args[key])).splitlines())


def _came(case: Case, args: Mapping[str, Any], found: Outcome) -> str:
    if found.refused:
        return f"refused: {found.refused.splitlines()[0]}; the way out names: {case.refused}"
    named = [key for key in (*_HOOKS, "random", "batch", "batch_tolerance", "lengths", "dims") if key in args]
    return f"as it is{', with ' + ', '.join(named) if named else ''}; {found.how}"


def _markdown(content: Mapping[str, Any], found: Iterable[Row]) -> str:
    rows = list(found)
    tried = [each for each in rows if each.expected is not None]
    refused = sum(each.came.startswith("refused") for each in tried)
    lines = [
        f"# {len(rows)} networks, each served as it is",
        "",
        f"{results.told(content)} `{content['command']}`.",
        "",
        f"{len(tried) - refused} are served, {refused} refused, {len(rows) - len(tried)} not tried; "
        f"{sum(not each.expected for each in tried)} not as expected.",
        "",
        f"Each gets {content['requests']} requests at once, most of one to three rows, some of more than a forward "
        "takes. Every row is compared with the eager network's own answer to that row alone, unpadded; with `random`, "
        "a request with what eager draws from its seed; with `batch`, a request as a whole. The largest deviation is "
        "relative to the largest value of an output. The last word of a network that is served is how its forward "
        "runs; the last column how long the start's eager forward took over that one's, in turns, where both could "
        "run. Lines of YAML are a model's `args`; lines of Python are hooks and examples, all that is written beside "
        "the network.",
        "",
        _speed("networks of transformers", [each for each in rows if each.of_transformers]),
        _speed("other networks", [each for each in rows if not each.of_transformers]),
        "",
    ]
    cells = [
        [
            each.name,
            str(each.yaml_lines),
            str(each.python_lines),
            each.came + (" **(not expected)**" if each.expected is False else ""),
            "" if each.deviation is None else f"{each.deviation:.1e}",
            "" if each.faster is None else f"{each.faster:.2f}",
        ]
        for each in rows
    ]
    return "\n".join(
        [*lines, *table(["network", "YAML", "Python", "came", "deviation", "eager takes"], cells, "lrrlrr")]
    )


def _speed(what: str, rows: list[Row]) -> str:
    served = [each for each in rows if each.deviation is not None]
    eager = [each.name for each in served if each.came.endswith("; eager")]
    ratios = [each.faster for each in served if each.faster is not None and each.name not in eager]
    found = f"- Of {len(served)} {what}, {len(eager)} run eagerly{': ' + ', '.join(eager) if eager else ''}."
    if ratios:
        found += (
            f" In the {len(ratios)} others that were timed in turns, eager takes "
            f"{median(ratios):.2f} times as long as what serves (median; {min(ratios):.2f} to {max(ratios):.2f})."
        )
    return found


if __name__ == "__main__":
    main()
