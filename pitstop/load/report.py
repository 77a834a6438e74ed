"""Shows a run on a terminal: percentiles with their intervals, a histogram, errors by kind, and the client's share."""

from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from ..measure.intervals import Percentile
from ..report import terminal
from ..report.numbers import milliseconds
from .summary import Summary

_BAR = 40


def show(summary: Summary, title: str, console: Console) -> None:
    """Print everything."""
    plan = summary.plan
    load = f"open loop, {plan.rate_rps:g}/s" if plan.rate_rps else f"closed loop, {plan.connections} connections"
    console.print(f"\n{title}", style="bold", markup=False, soft_wrap=True)
    stopped = ", stopped by Ctrl-C" if summary.stopped else ""
    console.print(f"{load}, {summary.seconds:.1f} s after {plan.warmup_s:g} s of warm-up{stopped}", style="dim")
    console.print(
        f"{summary.answered:,} answers, {summary.answered_rps:,.1f}/s; "
        f"mean {milliseconds(summary.mean_ms)}, longest {milliseconds(summary.max_ms)}"
    )
    if summary.percentiles:
        console.print(_percentiles(summary))
        console.print(_histogram(summary))
    _show_errors(summary, console)
    for reason in summary.client_limit:
        console.print(f"THE CLIENT WAS THE LIMIT: {reason}", style="bold yellow", soft_wrap=True)


def named(each: Percentile) -> str:
    return f"p{each.level * 100:g}"


def _percentiles(summary: Summary) -> Table:
    table = terminal.table("latency", "", "95 % interval", left=("latency",))
    for each in summary.percentiles:
        bounds = f"{milliseconds(each.low)} to {milliseconds(each.high)}"
        doubt = ": too few answers" if each.high is None else ""
        table.add_row(named(each), milliseconds(each.value), f"{bounds}{doubt}")
    return table


def _histogram(summary: Summary) -> Table:
    table = terminal.table("ms", "bar", "answers", left=("bar",))
    table.show_header = False
    most = max(each.count for each in summary.histogram)
    for each in summary.histogram:
        # What is there at all is seen: an eighth of a character.
        seen = max(each.count, most / (8 * _BAR)) if each.count else 0
        table.add_row(f"{each.low:g} to {each.high:g} ms", Bar(most, 0, seen, width=_BAR), f"{each.count:,}")
    return table


def _show_errors(summary: Summary, console: Console) -> None:
    if summary.retried:
        console.print(f"{summary.retried} requests were sent again; their latency counts from the first time")
    for kind, count in summary.errors.items():
        console.print(f"errors: {count} {kind}", style="red", markup=False)
    if summary.failed:
        console.print(f"{summary.failed_share:.2%} failed", style="red")
    if summary.unanswered:
        console.print(
            f"{summary.unanswered} not answered when it was stopped, the oldest waiting for "
            f"{summary.oldest_unanswered_s:.2f} s",
            style="yellow",
        )
