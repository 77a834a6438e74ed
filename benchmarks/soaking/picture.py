"""Draws a soak: latency above, memory below, and a line through both for each harm done."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from .watch import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _PALE, _RULE = "#1c2530", "#6b7685", "#e3e7ec"
_COLOURS = {"replica killed": "#b3372f", "rollout": "#3b6ea8", "settings": "#8a8f98", "burst": "#c98a1b"}
_LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "labelcolor": _INK}
# Beside the title, where no line runs.
_ABOVE: dict[str, Any] = {**_LEGEND, "loc": "lower right", "bbox_to_anchor": (1.0, 0.97), "ncols": 2}
_SIZE_INCHES = (9.0, 6.0)


def png(title: str, subtitle: str, looks: Sequence[Look], events: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, dpi=160, facecolor="white")
    FigureCanvasAgg(figure)
    upper = figure.add_axes((0.08, 0.50, 0.89, 0.32))
    lower = figure.add_axes((0.08, 0.09, 0.89, 0.30))
    minutes = [look.at_s / 60 for look in looks]
    upper.set_yscale("log")
    upper.plot(minutes, [look.p50_ms for look in looks], color="#1f7a5c", linewidth=1.2, label="p50")
    upper.plot(minutes, [look.p99_ms for look in looks], color="#1c2530", linewidth=0.9, label="p99")
    lower.plot(minutes, [look.all_mib for look in looks], color="#1c2530", linewidth=1.2, label="all processes")
    lower.plot(minutes, [look.rest_mib for look in looks], color="#1f7a5c", linewidth=1.2, label="without replicas")
    lower.set_ylim(bottom=0)
    _frame(upper, "latency of one small JSON request, ms")
    _frame(lower, "resident memory, MiB")
    lower.set_xlabel("minutes", color=_PALE, fontsize=9.5)
    _mark(upper, lower, events)
    figure.text(0.022, 0.955, title, fontsize=14, fontweight="bold", color=_INK, va="center")
    figure.text(0.022, 0.905, subtitle, fontsize=9.5, color=_PALE, va="center")
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _frame(axes: "Axes", title: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if axes.get_yscale() == "log":
        # However narrow or wide its range, some of these are in it, and they do not crowd.
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(title, loc="left", color=_PALE, fontsize=9.5)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.tick_params(which="both", colors=_PALE, labelsize=8.5, length=0)
    axes.grid(color=_RULE, linewidth=0.7)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.legend(**_ABOVE)


def _mark(upper: "Axes", lower: "Axes", events: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    for event in events:
        for axes in (upper, lower):
            axes.axvline(event["at_s"] / 60, color=_COLOURS[event["kind"]], linewidth=0.8, alpha=0.7, zorder=1)
    seen = {str(event["kind"]): None for event in events}
    lines = [Line2D([], [], color=_COLOURS[kind], linewidth=1.2) for kind in seen]
    if lines:
        legend = lower.legend(
            lines, list(seen), loc="lower right", ncols=4, frameon=False, fontsize=8.5, labelcolor=_INK
        )
        lower.legend(**_ABOVE)
        lower.add_artist(legend)
