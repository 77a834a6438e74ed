"""Prints what tuning tried: one line a setting, the best first, those that were discarded with their reason."""

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console

from configs.backends import AUTO

from ..report import terminal
from ..report.numbers import deviation
from .candidates import Candidate
from .trial import Trial

Found = Mapping[Candidate, Trial]
_SETTING = "setting x threads"
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
    table = terminal.table("", _SETTING, "1 row p50", "p99", "rows/s", "at rows", "off", "MiB", left=("", _SETTING))
    table.columns[1].no_wrap = True
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
    # Of auto it is told what the start took.
    label = candidate.label + f" ({trial.how})" * (candidate.backend == AUTO)
    return [mark, label, *shown, deviation(trial.deviation), f"{trial.peak_mib:,.0f}"]
