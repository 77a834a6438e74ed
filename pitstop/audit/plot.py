"""Draws waterfalls: one bar a step, as long as its items a second, with the factor to the first step on it.

The scale is linear and starts at nothing: a bar twice as long is twice as fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..report import plots
from ..report.colours import BLUE, GREEN, GREY, INK, PALE, RED, RULE
from ..report.numbers import TIMES, number
from .step import Group, Step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"mistake": RED, "path": BLUE, "batch": GREEN, "option": GREY}
_LEGEND = {
    "mistake": "a mistake",
    "path": "towards the config",
    "batch": "as configured, in batches",
    "option": "another setting",
}
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
            found.append(Line(y, step, step.spec.label))
            y += 1
        y += 0.45
    return found


def png(panels: Sequence[Panel]) -> bytes:
    """Return the picture as a PNG."""
    return plots.png(waterfalls(panels))


def waterfalls(panels: Sequence[Panel]) -> "Figure":
    """Return the picture, its panels one below another, each on a scale of its own."""
    placed = [lines(panel.groups) for panel in panels]
    tall = [(each[-1].y + 1) * _LINE_INCHES for each in placed]
    height = sum(tall) + _HEAD_INCHES * len(panels) + _FOOT_INCHES
    figure = plots.new_figure(_WIDTH_INCHES, height)
    top, left = height, _left(placed)
    for panel, each, inches in zip(panels, placed, tall, strict=True):
        plots.heading(figure, panel.title, panel.subtitle, top)
        top -= _HEAD_INCHES + inches
        _draw(figure.add_axes((left, top / height, _RIGHT_SHARE - left, inches / height)), each, panel.best)
    _legend(figure, {line.step.spec.kind for each in placed for line in each if line.step}, height)
    return figure


def _left(placed: Sequence[Sequence[Line]]) -> float:
    """Return where the bars begin, as a share of the width: all panels alike, right of the longest label."""
    letters = max(len(line.text) for each in placed for line in each)
    return max(0.2, min(0.45, (_LETTER_INCHES * letters + 0.3) / _WIDTH_INCHES))


def _draw(axes: "Axes", placed: Sequence[Line], best: Step | None) -> None:
    axes.set_ylim(placed[-1].y + 0.6, -0.5)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(RULE)
    _names(axes, placed, best)
    _bars(axes, [(line.y, line.step) for line in placed if line.step], best)
    for line in placed[:-1]:
        if best is not None and best.items_s and line.step == best:
            # From here down: what lies beyond it is faster than the config.
            ends = [line.y + 0.36, placed[-1].y + 0.6]
            axes.plot([best.items_s] * 2, ends, color=_COLOURS["batch"], linewidth=1, linestyle=(0, (2, 3)), zorder=2.5)


def _names(axes: "Axes", placed: Sequence[Line], best: Step | None) -> None:
    axes.set_yticks([line.y for line in placed], [line.text for line in placed])
    axes.tick_params(axis="y", length=0, pad=8, labelsize=9.5, labelcolor=INK)
    for name, line in zip(axes.get_yticklabels(), placed, strict=True):
        if line.step is None:
            name.set(fontsize=9, color=PALE, fontstyle="italic")
            axes.axhline(line.y, color=RULE, linewidth=0.8, zorder=0)
        elif line.step == best:
            name.set_fontweight("bold")


def _bars(axes: "Axes", bars: Sequence[tuple[float, Step]], best: Step | None) -> None:
    """Draw the bars with their spreads, and right of each its factor and its rate."""
    steps = [step for _, step in bars]
    rates = [step.items_s or 0 for step in steps]
    spreads = [step.spread or (rate, rate) for step, rate in zip(steps, rates, strict=True)]
    drawn = axes.barh(
        [y for y, _ in bars],
        rates,
        height=0.72,
        color=[_COLOURS[step.spec.kind] for step in steps],
        xerr=[
            [max(rate - low, 0) for rate, (low, _) in zip(rates, spreads, strict=True)],
            [high - rate for rate, (_, high) in zip(rates, spreads, strict=True)],
        ],
        error_kw={"ecolor": INK, "elinewidth": 1.2},
        zorder=2,
    )
    factors, labels = [f"{rate / rates[0]:.1f}{TIMES}" for rate in rates], [f"{number(rate)}/s" for rate in rates]
    rate_points = _FIRST_POINTS + _SIGN_POINTS * max(map(len, factors)) + _GAP_POINTS
    # The scale ends where every bar's labels end within the picture.
    points = axes.get_window_extent().width / axes.figure.dpi * _POINTS_AN_INCH
    share = (rate_points + _SIGN_POINTS * max(map(len, labels))) / points
    axes.set_xlim(0, max(high for _, high in spreads) / (1 - share))
    look: dict[str, Any] = {"fontsize": 9.5, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}
    axes.bar_label(drawn, factors, padding=_FIRST_POINTS, color=INK, fontweight="bold", **look)
    for text, step in zip(axes.bar_label(drawn, labels, padding=rate_points, color=PALE, **look), steps, strict=True):
        text.set_fontweight("bold" if step == best else "normal")


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
        labelcolor=PALE,
        handlelength=1,
        handleheight=1,
        columnspacing=1.6,
    )
