"""Shows a run on a terminal: percentiles with their intervals, a histogram, errors by kind, and the client's share."""

from rich.console import Console
from rich.table import Table

from ..measure.intervals import Percentile
from .summary import Summary

_BAR = 40
_FULL = "\u2588"
_PARTS = " \u258f\u258e\u258d\u258c\u258b\u258a\u2589"


def show(summary: Summary, title: str, console: Console) -> None:
    """Print everything."""
    plan = summary.plan
    load = f"open loop, {plan.rate_rps:g}/s" if plan.rate_rps else f"closed loop, {plan.connections} connections"
    console.print(f"\n{title}", style="bold", markup=False, soft_wrap=True)
    stopped = ", stopped by Ctrl-C" if summary.stopped else ""
    console.print(f"{load}, {summary.seconds:.1f} s after {plan.warmup_s:g} s of warm-up{stopped}", style="dim")
    console.print(
        f"{summary.answered:,} answers, {summary.answered_rps:,.1f}/s; "
        f"mean {ms(summary.mean_ms)}, longest {ms(summary.max_ms)}"
    )
    if summary.percentiles:
        console.print(_percentiles(summary))
        console.print(_histogram(summary))
    _show_errors(summary, console)
    for reason in summary.client_limit:
        console.print(f"THE CLIENT WAS THE LIMIT: {reason}", style="bold yellow", soft_wrap=True)


def ms(value: float | None) -> str:
    """Write milliseconds with three digits; None as what has no bound."""
    if value is None:
        return "?"
    return f"{value:,.0f} ms" if value >= 1000 else f"{value:.3g} ms"


def named(each: Percentile) -> str:
    return f"p{each.level * 100:g}"


def _percentiles(summary: Summary) -> Table:
    table = Table("latency", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", justify="right")
    table.add_column("95 % interval", justify="right")
    for each in summary.percentiles:
        bounds = f"{ms(each.low)} to {ms(each.high)}"
        table.add_row(named(each), ms(each.value), bounds if each.high is not None else f"{bounds}: too few answers")
    return table


def _histogram(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    most = max(each.count for each in summary.histogram)
    for each in summary.histogram:
        table.add_row(f"{each.low:g} to {each.high:g} ms", _bar(each.count / most), f"{each.count:,}")
    return table


def _bar(share: float) -> str:
    eighths = round(share * _BAR * 8)
    # What is there at all is seen.
    eighths = max(eighths, 1) if share else 0
    return _FULL * (eighths // 8) + _PARTS[eighths % 8].strip()


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
