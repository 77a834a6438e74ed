"""Draws waterfalls: one bar a step, as long as its items a second, with the factor to the first step on it.

The scale is linear and starts at nothing: a bar twice as long is twice as fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from .step import Group, Step
from .words import TIMES, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"mistake": "#c4533a", "path": "#3b6ea8", "batch": "#1f7a5c", "option": "#b9c3cf"}
_LEGEND = {
    "mistake": "a mistake",
    "path": "towards the config",
    "batch": "as configured, in batches",
    "option": "another setting",
}
_INK, _PALE, _RULE = "#1c2530", "#6b7685", "#e3e7ec"
_WIDTH_INCHES, _LINE_INCHES, _HEAD_INCHES, _FOOT_INCHES = 9.0, 0.32, 1.0, 0.42
_FIRST_POINTS, _SIGN_POINTS, _GAP_POINTS, _POINTS_AN_INCH = 6, 7, 16, 72
_LETTER_INCHES, _RIGHT_SHARE = 0.076, 0.985


@dataclass(frozen=True, slots=True)
class Panel:
    """One model's waterfall. `best` is the step that its config gets at its best; it is set in bold."""

    title: str
    subtitle: str
    groups: Sequence[Group]
    best: Step | None


@dataclass(frozen=True, slots=True)
class Line:
    """A bar with its step, or a heading without; `y` counts lines, downwards."""

    y: float
    step: Step | None
    text: str


def lines(groups: Sequence[Group]) -> list[Line]:
    """Return what is drawn where. A single group needs no heading."""
    found: list[Line] = []
    y = 0.0
    for group in groups:
        if len(groups) > 1:
            found.append(Line(y, None, group.title))
            y += 0.95
        for step in group.steps:
            found.append(Line(y, step, step.head.label))
            y += 1
        y += 0.45
    return found


def png(panels: Sequence[Panel]) -> bytes:
    """Return the picture as a PNG."""
    buffer = BytesIO()
    waterfalls(panels).savefig(buffer, format="png")
    return buffer.getvalue()


def waterfalls(panels: Sequence[Panel]) -> "Figure":
    """Return the picture, its panels one below another, each on a scale of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    placed = [lines(panel.groups) for panel in panels]
    tall = [(each[-1].y + 1) * _LINE_INCHES for each in placed]
    height = sum(tall) + _HEAD_INCHES * len(panels) + _FOOT_INCHES
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=160, facecolor="white")
    FigureCanvasAgg(figure)
    top, left = height, _left(placed)
    for panel, each, inches in zip(panels, placed, tall, strict=True):
        figure.text(0.022, (top - 0.34) / height, panel.title, fontsize=15, fontweight="bold", color=_INK, va="center")
        figure.text(0.022, (top - 0.64) / height, panel.subtitle, fontsize=9, color=_PALE, va="center")
        top -= _HEAD_INCHES + inches
        _draw(figure.add_axes((left, top / height, _RIGHT_SHARE - left, inches / height)), each, panel.best)
    _legend(figure, {line.step.head.kind for each in placed for line in each if line.step}, height)
    return figure


def _left(placed: Sequence[Sequence[Line]]) -> float:
    """Return where the bars begin, as a share of the width: all panels alike, right of the longest label."""
    letters = max(len(line.text) for each in placed for line in each)
    return max(0.2, min(0.45, (_LETTER_INCHES * letters + 0.3) / _WIDTH_INCHES))


def _draw(axes: "Axes", placed: Sequence[Line], best: Step | None) -> None:
    steps = [line.step for line in placed if line.step]
    rates = [step.items_s or 0 for step in steps]
    axes.set_xlim(0, _limit(steps, rates[0], axes.get_window_extent().width / axes.figure.dpi))
    axes.set_ylim(placed[-1].y + 0.6, -0.5)
    for line in placed:
        _name(axes, line, line.step is not None and line.step == best)
        if line.step is None:
            axes.axhline(line.y, color=_RULE, linewidth=0.8, zorder=0)
        else:
            _bar(axes, line.y, line.step, rates[0], line.step == best)
        if best is not None and best.items_s and line.step == best and line is not placed[-1]:
            # From here down: what lies beyond it is faster than the config.
            ends = [line.y + 0.36, placed[-1].y + 0.6]
            axes.plot([best.items_s] * 2, ends, color=_COLOURS["batch"], linewidth=1, linestyle=(0, (2, 3)), zorder=2.5)
    axes.set_yticks([])
    axes.set_xticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(_RULE)


def _name(axes: "Axes", line: Line, best: bool) -> None:
    heading = line.step is None
    axes.annotate(
        line.text,
        (0, line.y),
        xytext=(-8, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        annotation_clip=False,
        fontsize=9 if heading else 9.5,
        color=_PALE if heading else _INK,
        style="italic" if heading else "normal",
        fontweight="bold" if best else "normal",
    )


def _bar(axes: "Axes", y: float, step: Step, first: float, best: bool) -> None:
    rate = step.items_s or 0
    axes.barh(y, rate, height=0.72, color=_COLOURS[step.head.kind], zorder=2)
    if step.spread is not None:
        axes.plot(step.spread, [y, y], color=_INK, linewidth=1.2, zorder=3, solid_capstyle="butt")
    factor, label = _labels(step, first)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    for text, points, colour, weight in (
        (factor, _FIRST_POINTS, _INK, "bold"),
        (label, _label_points(factor), _PALE, "bold" if best else "normal"),
    ):
        axes.annotate(
            text,
            (_end(step), y),
            xytext=(points, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            color=colour,
            fontweight=weight,
            bbox=white,
        )


def _limit(steps: Sequence[Step], first: float, inches: float) -> float:
    """Return the scale's end, in items a second, so that every bar's labels end within the picture."""
    ends = []
    for step in steps:
        factor, label = _labels(step, first)
        points = _label_points(factor) + _SIGN_POINTS * len(label)
        ends.append(_end(step) / (1 - points / (_POINTS_AN_INCH * inches)))
    return max(ends)


def _labels(step: Step, first: float) -> tuple[str, str]:
    rate = step.items_s or 0
    return f"{rate / first:.1f}{TIMES}", f"{number(rate)}/s"


def _label_points(factor: str) -> int:
    """Return where a rate begins, right of its factor."""
    return _FIRST_POINTS + _SIGN_POINTS * len(factor) + _GAP_POINTS


def _end(step: Step) -> float:
    """Return where a bar ends, or its spread where that ends later."""
    rate = step.items_s or 0
    return rate if step.spread is None else max(rate, step.spread[1])


def _legend(figure: "Figure", kinds: set[str], height: float) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=_COLOURS[kind], label=label) for kind, label in _LEGEND.items() if kind in kinds]
    figure.legend(
        handles=patches,
        loc="lower left",
        bbox_to_anchor=(0.012, 0.04 / height),
        ncols=len(patches),
        frameon=False,
        fontsize=8.5,
        labelcolor=_PALE,
        handlelength=1,
        handleheight=1,
        columnspacing=1.6,
    )
