"""Draws a soak: latency above, memory below, and a line through both for each harm done."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pitstop.report import plots
from pitstop.report.colours import AMBER, BLUE, GREEN, GREY, INK, RED

from .watch import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"replica killed": RED, "rollout": BLUE, "settings": GREY, "burst": AMBER}
_LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "labelcolor": INK}
# Beside the title, where no line runs.
_ABOVE: dict[str, Any] = {**_LEGEND, "loc": "lower right", "bbox_to_anchor": (1.0, 0.97), "ncols": 2}
_SIZE_INCHES = (9.0, 6.0)


def png(title: str, subtitle: str, looks: Sequence[Look], events: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the picture."""
    figure = plots.new_figure(*_SIZE_INCHES)
    upper = figure.add_axes((0.08, 0.50, 0.89, 0.32))
    lower = figure.add_axes((0.08, 0.09, 0.89, 0.30))
    minutes = [look.at_s / 60 for look in looks]
    upper.set_yscale("log")
    upper.plot(minutes, [look.p50_ms for look in looks], color=GREEN, linewidth=1.2, label="p50")
    upper.plot(minutes, [look.p99_ms for look in looks], color=INK, linewidth=0.9, label="p99")
    lower.plot(minutes, [look.all_mib for look in looks], color=INK, linewidth=1.2, label="all processes")
    lower.plot(minutes, [look.rest_mib for look in looks], color=GREEN, linewidth=1.2, label="without replicas")
    lower.set_ylim(bottom=0)
    _frame(upper, "latency of one small JSON request, ms")
    _frame(lower, "resident memory, MiB", "minutes")
    _mark(upper, lower, events)
    plots.heading(figure, title, subtitle)
    return plots.png(figure)


def _frame(axes: "Axes", title: str, x_label: str = "") -> None:
    from matplotlib.ticker import LogLocator

    if axes.get_yscale() == "log":
        # However narrow or wide its range, some of these are in it, and they do not crowd.
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    plots.frame(axes, title, x_label)
    axes.legend(**_ABOVE)


def _mark(upper: "Axes", lower: "Axes", events: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    for event in events:
        for axes in (upper, lower):
            axes.axvline(event["at_s"] / 60, color=_COLOURS[event["kind"]], linewidth=0.8, alpha=0.7, zorder=1)
    seen = {str(event["kind"]): None for event in events}
    lines = [Line2D([], [], color=_COLOURS[kind], linewidth=1.2) for kind in seen]
    if lines:
        legend = lower.legend(lines, list(seen), loc="lower right", ncols=4, **_LEGEND)
        lower.legend(**_ABOVE)
        lower.add_artist(legend)
