"""Prints an audit for a terminal of 80 columns: the waterfall, the five mistakes, and what to do."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from configs.document import Document
from configs.problems import where

from ..measure.hardware import Hardware
from ..report import terminal
from ..report.numbers import deviation, plural
from .examine import Examined
from .finding import Finding
from .formatting import HEADS, busy, cells, factor, first_items_s
from .mistakes import NOT_MEASURED, UNCLEAR
from .step import Step, grouped

_STYLES = {"refusal": "bold red", "mistake": "bold red", "warning": "yellow", "hint": "cyan"}
_STYLE = {"bad": "bold red", "open": "bold yellow", "good": "bold green"}
_MADE = {
    "made": "[bold red]MADE[/]",
    "absent": "[green]absent[/]",
    **{word: f"[yellow]{word}[/]" for word in (NOT_MEASURED, UNCLEAR)},
}
_LABELS = {"refusal": "REFUSED", "mistake": "MISTAKE", "warning": "warning", "hint": "hint"}


def show(examined: Examined, document: Document, machine: Hardware, console: Console) -> None:
    """Print one model."""
    config = examined.case.app.config
    threads = f", {plural(examined.threads, 'thread')}" if examined.case.device == "cpu" else ""
    console.print(f"\n{config.name}", style="bold", end="")
    console.print(f" on {machine.title()}{threads}", soft_wrap=True)
    if examined.case.chose:
        console.print(examined.case.chose, style="bold")
    if examined.twin:
        console.print(f"measured as {examined.twin}: the same model on the same device", style="dim")
    elif examined.case.steps:
        console.print(steps_table(examined.case.steps))
        _notes(examined.case.steps, console)
    if examined.unmeasured:
        console.print(examined.unmeasured, style="red" if examined.broken else "yellow", soft_wrap=True, markup=False)
    if examined.cut:
        console.print("stopped by Ctrl-C: judged by what was measured until then", style="yellow")
    if examined.case.steps and not examined.twin:
        console.print()
        console.print(_mistakes_table(examined))
    if examined.findings:
        console.print()
    for finding in examined.findings:
        show_finding(finding, document, console)
    console.print(f"{config.name}: {examined.verdict}", style=_STYLE[examined.judged], markup=False)


def show_finding(finding: Finding, document: Document, console: Console) -> None:
    """Print one finding: its place, what, cost and remedy."""
    number_ = f" {finding.mistake}" if finding.mistake else ""
    console.print(f"{_LABELS[finding.severity]}{number_}", style=_STYLES[finding.severity], end=" ")
    console.print(f"{document.place(finding.keys)} {where(document.raw, finding.keys)}", soft_wrap=True, markup=False)
    console.print(f"  {finding.what}", soft_wrap=True, markup=False)
    if finding.cost:
        console.print(f"  cost: {finding.cost}", soft_wrap=True, markup=False)
    first, *rest = finding.fix.splitlines()
    console.print("\n".join([f"  fix:  {first}", *(f"        {line}" for line in rest)]), soft_wrap=True, markup=False)


def steps_table(steps: Iterable[Step]) -> Table:
    """Return the waterfall; factors are against its first step, off is from eager."""
    steps = list(steps)
    table = terminal.table("", *HEADS, left=("",), gap=1)
    for column in table.columns[1:]:
        column.no_wrap = True
    for group in grouped(steps):
        table.add_row(group.title, style="bold")
        for step in group.steps:
            left_out = ["-", "-", "left out", "", "", deviation(step.deviation)]
            table.add_row(f"  {step.spec.label}", *(cells(step, first_items_s(steps)) or left_out))
    return table


def _notes(steps: Sequence[Step], console: Console) -> None:
    """Say why steps were left out; one line for each reason."""
    reasons: dict[str, list[str]] = {}
    for step in steps:
        if step.skipped:
            reasons.setdefault(step.skipped, []).append(step.spec.label)
    for reason, labels in reasons.items():
        console.print(f"left out: {'; '.join(labels)}: {reason}", style="dim", markup=False)
    if spoilt := busy(steps):
        console.print(spoilt, style="yellow")


def _mistakes_table(examined: Examined) -> Table:
    heads = ("the five mistakes", "", "costs", "")
    table = terminal.table(*heads, left=heads, gap=1)
    for verdict in examined.verdicts:
        cost = "" if verdict.word == NOT_MEASURED else verdict.cost
        table.add_row(f"{verdict.number} {verdict.title}", _MADE[verdict.word], factor(verdict.factor), cost)
    return table
