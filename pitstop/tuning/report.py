"""Prints what tuning tried: one line a setting, the best first, those that were discarded with their reason."""

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from ..auditing.words import off
from .candidates import Candidate
from .trial import Trial

Found = Mapping[Candidate, Trial]
Score = Callable[[Candidate, Trial], float | None]


def show_tried(
    found: Found, left: Sequence[Candidate], present: Candidate, best: Candidate | None, console: Console, score: Score
) -> None:
    """Print the table.

    Args:
        found: the latest trial of each setting.
        left: those that time did not suffice for.
        present: the setting that the config has.
        best: the one chosen.
        console: where to.
        score: the higher the better; None: discarded.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("setting x threads", no_wrap=True)
    for column in ("1 row p50", "p99", "rows/s", "at rows", "off", "MiB"):
        table.add_column(column, justify="right")
    able = {each: value for each, trial in found.items() if (value := score(each, trial)) is not None}
    for candidate in sorted(able, key=lambda each: -able[each]):
        table.add_row(*_cells(candidate, found[candidate], candidate is best, candidate == present))
    console.print(table)
    for candidate, trial in found.items():
        if candidate not in able:
            console.print(f"discarded: {candidate.label}: {trial.discarded}", style="dim", markup=False, soft_wrap=True)
    if left:
        console.print(f"not tried, the time was over: {len(left)} settings (raise --budget-s)", style="dim")


def _cells(candidate: Candidate, trial: Trial, best: bool, present: bool) -> list[str]:
    smallest = min(trial.p50_ms)
    size, rate = trial.best
    mark = "->" if best else ("now" if present else "")
    shown = [f"{trial.p50_ms[smallest]:.3g} ms", f"{trial.p99_ms[smallest]:.3g} ms", f"{rate:,.0f}", str(size)]
    return [mark, candidate.label, *shown, off(trial.deviation), f"{trial.peak_mib:,.0f}"]
