"""Draws cost per million over traffic, both on logarithmic scales: two saw-toothed lines, and where they part for good.

Each tooth is a machine added; between teeth the cost falls as the fleet fills. A GPU that was not measured has one
dashed line: what a single machine costs, below which it cannot come.
"""

from typing import TYPE_CHECKING

import numpy as np

from ..report import plots
from ..report.colours import BLUE, GREEN, INK
from ..report.numbers import rate, usd
from .comparison import Comparison, Side
from .cost import HIGHEST_RPS, LOWEST_RPS, usd_per_million
from .price_only import NOT_MEASURED, PriceOnly, Unmeasured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"gpu": GREEN, "cpu": BLUE}
_POINTS = 4000
# Beyond it a label would run out of the picture.
_RIGHTMOST_RPS = 300.0
_SIZE_INCHES = (9.0, 5.2)


def png(found: Comparison | PriceOnly) -> bytes:
    """Return the picture of a comparison in which whatever was measured sustains something."""
    figure = plots.new_figure(*_SIZE_INCHES)
    axes = figure.add_axes((0.085, 0.11, 0.885, 0.70))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(LOWEST_RPS, HIGHEST_RPS)
    plots.frame(axes, "dollars per million answers", "arrivals a second", unit="$")
    _line(axes, "cpu", found.cpu)
    if isinstance(found, PriceOnly):
        _price_line(axes, found.gpu)
        _mark_price(axes, found)
    else:
        _line(axes, "gpu", found.gpu)
        _mark(axes, found)
    # The lines fall from the left: below them there is always room.
    axes.legend(loc="lower left", frameon=False, fontsize=9.5, labelcolor=INK, borderaxespad=0.8)
    plots.heading(figure, f"What a million answers cost, with p99 within {found.slo_ms:g} ms", found.verdict)
    return plots.png(figure)


def _line(axes: "Axes", name: str, side: Side) -> None:
    fleet = side.fleet
    assert fleet is not None
    rates = np.geomspace(LOWEST_RPS, HIGHEST_RPS, _POINTS)
    label = (
        f"{name.upper()}: {side.price.instance}, {usd(side.price.usd_per_hour)} an hour, "
        f"{rate(fleet.capacity_rps)}/s a replica"
    )
    axes.plot(rates, [usd_per_million(each, fleet) for each in rates], color=_COLOURS[name], linewidth=2, label=label)


def _price_line(axes: "Axes", gpu: Unmeasured) -> None:
    ends = (LOWEST_RPS, HIGHEST_RPS)
    label = (
        f"GPU, {NOT_MEASURED}: {gpu.price.instance}, {usd(gpu.price.usd_per_hour)} an hour; it costs no less than this"
    )
    costs = [gpu.alone_usd_per_million(each) for each in ends]
    axes.plot(ends, costs, color=_COLOURS["gpu"], linewidth=2, linestyle=(0, (4, 3)), label=label)


def _mark_price(axes: "Axes", found: PriceOnly) -> None:
    """Mark the traffic up to which the CPU costs less for certain, and say what a GPU replica must sustain beyond."""
    edge = found.cpu_cheaper_to_rps
    what = f"a GPU replica must sustain\nmore than {rate(found.even_rps)}/s to cost less"
    if not LOWEST_RPS < edge < HIGHEST_RPS:
        _say(axes, HIGHEST_RPS, what)
        return
    axes.axvspan(LOWEST_RPS, edge, color=_COLOURS["cpu"], alpha=0.09, linewidth=0)
    axes.axvline(edge, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot([edge], [found.gpu.alone_usd_per_million(edge)], "o", color=INK, markersize=5, zorder=5)
    _say(axes, edge, f"CPU costs less up to {rate(edge)}/s;\nbeyond, {what}")


def _mark(axes: "Axes", comparison: Comparison) -> None:
    """Shade where the GPU costs less, and write the traffic at which the cheaper machine changes."""
    found = comparison.stretches
    for stretch in found:
        if stretch.winner == "gpu":
            axes.axvspan(stretch.low, stretch.high, color=_COLOURS["gpu"], alpha=0.09, linewidth=0)
    if len(found) < 2:
        return
    first, last = found[1].low, found[-1].low
    for edge in dict.fromkeys((first, last)):
        _edge(axes, edge, comparison)
    what = f"{found[-1].winner.upper()} cheaper above {rate(last)}/s"
    if first != last:
        what = f"{found[0].winner.upper()} cheaper below {rate(first)}/s\n{what}"
    _say(axes, last if last < _RIGHTMOST_RPS else first, what)


def _say(axes: "Axes", at_rps: float, what: str) -> None:
    right = at_rps < _RIGHTMOST_RPS
    axes.annotate(
        what, (at_rps, 0.80), xycoords=("data", "axes fraction"), xytext=(9 if right else -9, 0),
        textcoords="offset points", ha="left" if right else "right", va="center", fontsize=10, color=INK,
        fontweight="bold",
    )  # fmt: skip


def _edge(axes: "Axes", edge: float, comparison: Comparison) -> None:
    axes.axvline(edge, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    costs = [usd_per_million(edge, side.fleet) for side in (comparison.gpu, comparison.cpu) if side.fleet]
    axes.plot([edge], [max(costs)], "o", color=INK, markersize=5, zorder=5)
