"""Prints a plan for a terminal: what was tried, what is proposed and why, and predictions beside measurements."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from ..measure.percentiles import percentile
from ..report import terminal
from ..report.numbers import plural
from .choose import MARGIN, Bounds, LatencyTarget, Option
from .profile import Profile

if TYPE_CHECKING:
    from .verify import Check

_OPTION = ("", "device", "rows", "wait", "replicas", "p50", "p99", "busy", "rows/forward", "usd/h")
_CHECK = ("load", "rate/s", "p50", "measured", "p99", "measured", "95 %", "off", "forward")
# On a quiet machine a forward's p99 is within a few tens of percent of its median.
_WILD = 2.0
# The turns that a scheduler gives to processes that share cores are milliseconds long, and no part of the simulation.
_SHORT_MS = 10.0


def show_profile(profile: Profile, console: Console) -> None:
    """Print what a profile says of each batch size."""
    length = f", size {'x'.join(map(str, profile.sizes))}" if profile.sizes else ""
    console.print(f"\n{profile.model} on {profile.device}{length}: {profile.source}", style="bold", soft_wrap=True)
    table = terminal.table("rows", "forward p50", "p99", "rows/s")
    for size, times in profile.forward_ms.items():
        p50 = profile.p50_ms(size)
        p99 = percentile(times, 0.99)
        table.add_row(str(size), f"{p50:.2f} ms", f"{p99:.2f} ms", f"{1000 * size / p50:,.0f}")
    console.print(table)
    wild = max(percentile(times, 0.99) / profile.p50_ms(size) for size, times in profile.forward_ms.items())
    if wild > _WILD:
        text = f"forwards vary a lot, p99 up to {wild:.0f} times the median: is this machine busy with other work?"
        console.print(text, style="yellow", soft_wrap=True)
    if not profile.spread:
        console.print("only the fastest forward is known, no spread: p99 will be higher than predicted", style="yellow")


def show_options(found: Sequence[Option], chosen: Option | None, target: LatencyTarget, console: Console) -> None:
    """Print the alternatives, the chosen one marked."""
    asked = f"{target.rate_rps:g} requests a second" + (f" of {target.rows} rows" if target.rows > 1 else "")
    aim = f"the plan aims at {target.aim_ms:.3g} ms, which leaves a margin of {MARGIN - 1:.0%}"
    console.print(f"\n{asked}, p99 within {target.slo_ms:g} ms ({aim})", style="bold", soft_wrap=True)
    table = terminal.table(*_OPTION, left=("", "device"))
    for each in found:
        mark, style = ("->", "bold green") if each is chosen else ("", "" if each.meets else "red")
        usd = "-" if each.usd_per_hour is None else f"{each.usd_per_hour:.2f}"
        table.add_row(
            mark,
            each.profile.device,
            str(each.setting.max_batch_size),
            f"{each.setting.wait_ms:g} ms",
            str(each.setting.replicas),
            f"{each.p50_ms:.1f} ms",
            f"{each.p99_ms:.1f} ms" + ("" if each.meets else " !"),
            f"{each.utilisation:.0%}",
            f"{each.rows_per_forward:.1f}",
            usd,
            style=style,
        )
    console.print(table)
    if any(not each.meets for each in found):
        console.print("! misses the target, or is too busy to be sure of it", style="dim")


def show_choice(option: Option, bounds: Bounds, target: LatencyTarget, autoscale: bool, console: Console) -> None:
    """Print the proposal in words."""
    setting = option.setting
    replicas = f"{plural(setting.replicas, 'replica')} on {option.profile.device}"
    batches = f"at most {setting.max_batch_size} rows in a forward, wait {setting.wait_ms:g} ms"
    console.print(f"\n{replicas}, {batches}", style="bold")
    console.print(f"they sustain up to {bounds.most_rps:,.0f} requests a second within the target", soft_wrap=True)
    scaling = f"{bounds.least} to {bounds.most} replicas, target_ongoing_requests {bounds.target_ongoing:g}"
    console.print(f"autoscaling: {scaling}" + ("" if autoscale else " (--autoscale writes it)"), soft_wrap=True)
    if option.usd_per_hour is not None:
        millions = 1e6 / (3600 * target.rate_rps)
        console.print(f"{option.usd_per_hour:.2f} usd an hour, {option.usd_per_hour * millions:.4f} a million requests")


def show_checks(checks: "Sequence[Check]", console: Console) -> None:
    """Print predictions beside measurements."""
    table = terminal.table(*_CHECK, left=("load",))
    for each in checks:
        low, high = each.p99_bounds_ms
        table.add_row(
            each.label,
            f"{each.rate_rps:.0f}",
            *(f"{ms:.1f}" for ms in (*each.p50_ms, *each.p99_ms)),
            f"{low:.0f}-{'?' if high is None else f'{high:.0f}'}",
            f"{each.off:+.0%}",
            "" if each.forward_factor is None else f"x{each.forward_factor:.2f}",
            style="" if abs(each.off) <= MARGIN - 1 else "yellow",
        )
    console.print("\nlatency in ms, predicted and measured; 95 % is the measured p99's interval", soft_wrap=True)
    console.print(table)
    for each in checks:
        _remarks(each, console)


def _remarks(check: "Check", console: Console) -> None:
    if check.failed:
        console.print(f"{check.label}: {check.failed} requests failed", style="red")
    for reason in check.client_limit:
        console.print(f"{check.label}: {reason}", style="yellow", soft_wrap=True)
    factor, adjusted = check.forward_factor, check.adjusted_p99_ms
    if factor is not None and adjusted is not None and abs(factor - 1) > 0.1:
        why = "the load or other work shares its cores" if factor > 1 else "the profile was made on a busy machine"
        text = f"forwards took x{factor:.2f} of the profile's time ({why}); with those, p99 would be {adjusted:.1f} ms"
        console.print(f"{check.label}: {text}", style="yellow", soft_wrap=True)
    predicted, measured = check.p99_ms
    if predicted < _SHORT_MS and measured > MARGIN * predicted:
        text = (
            f"below some {_SHORT_MS:g} ms the latency depends on the machine more than on the plan: client, proxy and"
            " replica share its cores; send the load from another machine"
        )
        console.print(f"{check.label}: {text}", style="yellow", soft_wrap=True)
    if check.stopped:
        console.print("stopped by Ctrl-C: this is what was measured so far", style="yellow")
