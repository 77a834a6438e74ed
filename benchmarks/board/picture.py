"""Draws the board: each panel where its gridPos puts it, as Grafana draws it as far as a picture can."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pitstop.report import plots
from pitstop.report.colours import INK, PALE, RULE

from .answers import Answers, Series
from .panels import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUBTITLE = "Drawn by benchmarks.board from Prometheus's answers to the board's queries, not by Grafana."
_COLUMNS, _WIDTH_INCHES, _ROW_INCHES, _HEAD_INCHES, _GAP_INCHES = 24, 14.0, 0.35, 0.9, 0.06
# Enough for its text, and a smaller file.
_DOTS_PER_INCH = 120
# The named colours that the board uses, and Grafana's order for the others, darker, since the ground is white.
_NAMED = {"green": "#37872d", "red": "#c4162a"}
_PALETTE = ("#37872d", "#b8860b", "#1f60c4", "#e0752d", "#8f3bb8", "#0a9396", "#a05195", "#5f6b7a")
_TEXT = 8.5
# Characters of the text in an inch.
_LETTERS = 15.5


def png(found: Answers) -> bytes:
    """Return the picture."""
    rows = max(panel.place["y"] + panel.place["h"] for panel, _ in found.panels)
    figure = plots.new_figure(_WIDTH_INCHES, rows * _ROW_INCHES + _HEAD_INCHES, dpi=_DOTS_PER_INCH)
    minutes = (found.span.end_s - found.span.start_s) / 60
    plots.heading(figure, f"The Grafana board, {minutes:.0f} minutes", SUBTITLE)
    for panel, series in found.panels:
        _KINDS[panel.kind](Box(figure, panel), found.title(panel), panel, series, found)
    return plots.png(figure)


class Box:
    """The place of a panel in the figure; positions inside it are in inches from its upper left corner."""

    def __init__(self, figure: "Figure", panel: Panel) -> None:
        self.figure, column = figure, _WIDTH_INCHES / _COLUMNS
        self.left = panel.place["x"] * column + _GAP_INCHES
        self.top = _HEAD_INCHES + panel.place["y"] * _ROW_INCHES + _GAP_INCHES
        self.width = panel.place["w"] * column - 2 * _GAP_INCHES
        self.height = panel.place["h"] * _ROW_INCHES - 2 * _GAP_INCHES

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        across, up = self.figure.get_size_inches()
        options = {"fontsize": _TEXT, "color": PALE, "va": "top", **options}
        self.figure.text((self.left + x) / across, 1 - (self.top + y) / up, text, **options)

    def axes(self, left: float, top: float, right: float, bottom: float) -> "Axes":
        """Return axes with these margins."""
        across, up = self.figure.get_size_inches()
        width, height = self.width - left - right, self.height - top - bottom
        below = self.top + self.height - bottom
        return self.figure.add_axes(((self.left + left) / across, 1 - below / up, width / across, height / up))

    def frame(self, title: str, good: str) -> float:
        """Draw the border, the title and the description; return where the content begins."""
        from matplotlib.patches import Rectangle

        across, up = self.figure.get_size_inches()
        corner = (self.left / across, 1 - (self.top + self.height) / up)
        border = Rectangle(
            corner, self.width / across, self.height / up, transform=self.figure.transFigure, fill=False, edgecolor=RULE
        )
        self.figure.add_artist(border)
        self.text(0.1, 0.1, title, fontsize=10, color=INK, fontweight="bold")
        lines = textwrap.wrap(good, int((self.width - 0.2) * _LETTERS))
        for number, line in enumerate(lines):
            self.text(0.1, 0.32 + 0.145 * number, line)
        return 0.40 + 0.145 * len(lines)


def _row(box: Box, title: str, *_: Any) -> None:
    box.text(0.02, box.height / 2, title, fontsize=12, color=INK, va="center")


def _stat(box: Box, title: str, panel: Panel, series: Sequence[Series], _: Answers) -> None:
    top = box.frame(title, panel.good)
    each_inches = (box.height - top) / max(1, len(series))
    for number, each in enumerate(series):
        middle = top + (number + 0.4) * each_inches
        box.text(0.1, middle, each.name, va="center", color=INK)
        value = panel.shown(each.last)
        box.text(box.width - 0.1, middle, value, va="center", ha="right", fontsize=13, color=_colour(panel, each.last))
    if not series:
        box.text(box.width / 2, box.height / 2, "No data", ha="center")


def _graph(box: Box, title: str, panel: Panel, series: Sequence[Series], found: Answers) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

    top = box.frame(title, panel.good)
    if not any(each.known for each in series):
        box.text(box.width / 2, box.height / 2, "No data", ha="center")
        return
    rows, highest = _legend_rows(box, series), _top(panel, series)
    ticks = MaxNLocator(4, integer=panel.whole)
    widest = max(len(panel.shown(value)) for value in ticks.tick_values(0, highest))
    axes = box.axes(0.2 + 0.07 * widest, top, 0.2, 0.4 + 0.16 * len(rows))
    minutes = [(at_s - found.span.start_s) / 60 for at_s in found.span.times()]
    keys = {}
    for number, each in enumerate(series):
        keys[each.name] = _line(axes, minutes, each, panel, _PALETTE[number % len(_PALETTE)])
    for value, colour in panel.thresholds if "thresholdsStyle" in panel.custom else ():
        if value > float("-inf"):
            axes.axhline(value, color=_NAMED[colour], linewidth=1, linestyle=(0, (6, 4)))
    plots.frame(axes, "")
    axes.yaxis.set_major_locator(ticks)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: panel.shown(value)))
    axes.xaxis.set_major_locator(MultipleLocator(1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} min"))
    axes.set(xlim=(0, minutes[-1]), ylim=(0, highest))
    axes.tick_params(labelsize=_TEXT)
    axes.tick_params(axis="x", pad=7)
    for number, row in enumerate(rows):
        _legend(box, row, box.height - 0.16 * (len(rows) - number) - 0.02, keys)


def _table(box: Box, title: str, panel: Panel, series: Sequence[Series], _: Answers) -> None:
    top = box.frame(title, panel.good)
    rows = [{**each.labels, "Value": panel.shown(each.last)} for each in series]
    columns = panel.columns(rows[0]) if rows else {}
    for place, (name, head) in enumerate(columns.items()):
        x = 0.1 + place * (box.width - 0.2) / len(columns)
        box.text(x, top + 0.05, head, color=INK, fontweight="bold")
        for number, row in enumerate(rows):
            box.text(x, top + 0.3 + 0.22 * number, row[name], color=INK)
    if not series:
        box.text(box.width / 2, box.height / 2, "No data", ha="center")


_KINDS = {"row": _row, "stat": _stat, "timeseries": _graph, "table": _table}


def _line(axes: "Axes", minutes: Sequence[float], series: Series, panel: Panel, colour: str) -> tuple[str, str]:
    """Draw a series as its overrides say; return its colour and what stands before its name in the legend."""
    own = panel.properties(series.name)
    colour = _NAMED[own["color"]["fixedColor"]] if "color" in own else colour
    dash = own["custom.lineStyle"]["dash"] if "custom.lineStyle" in own else None
    values = [float("nan") if each is None else each for each in series.values]
    # Grafana shows the points where they are few: a lone one has no line.
    style: Any = {"marker": ".", "markersize": 3} if dash is None else {"linestyle": (0, tuple(dash))}
    axes.plot(minutes, values, color=colour, linewidth=1.3, **style)
    return colour, "\u2014" if dash is None else "- -"


def _top(panel: Panel, series: Sequence[Series]) -> float:
    """Return where the vertical axis ends: at `max`, or above all values and at `axisSoftMax` at least."""
    highest = 1.08 * max(each.peak for each in series if each.peak is not None)
    return float(panel.fields["defaults"].get("max", max(highest, panel.custom.get("axisSoftMax", 0)) or 1))


def _colour(panel: Panel, value: float | None) -> str:
    reached = [colour for least, colour in panel.thresholds if value is not None and value >= least]
    return _NAMED[reached[-1]] if reached else INK


def _legend_rows(box: Box, series: Sequence[Series]) -> list[list[str]]:
    """Return the names in lines that are no wider than the panel."""
    rows: list[list[str]] = [[]]
    for name in dict.fromkeys(each.name for each in series):
        if rows[-1] and sum(map(_width, [*rows[-1], name])) > box.width - 0.2:
            rows.append([])
        rows[-1].append(name)
    return rows


def _legend(box: Box, names: Sequence[str], y: float, keys: dict[str, tuple[str, str]]) -> None:
    x = 0.1
    for name in names:
        colour, mark = keys[name]
        box.text(x, y, mark, color=colour, fontweight="bold")
        box.text(x + 0.2, y, name, color=INK)
        x += _width(name)


def _width(name: str) -> float:
    return 0.4 + len(name) / _LETTERS * 1.05
