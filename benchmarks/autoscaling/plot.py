"""Draws each run as a point: what it cost, and the share of requests it failed. Nearer to the corner is better."""

from collections.abc import Mapping
from typing import Any

from pitstop.report import plots
from pitstop.report.colours import BLUE, GREEN, INK, PALE, RED

from .cases import OURS
from .choose import named

_SERVE = {"of cluster.yaml": BLUE, "Serve's": RED}
# A run without a miss has no place on a logarithmic scale but its edge.
_LEAST = 0.005


def draw(record: Mapping[str, Any]) -> bytes:
    """Return a PNG, one panel for each model and shape."""
    models, shapes = record["models"], record["shapes"]
    figure = plots.new_figure(3.1 * len(shapes) + 0.6, 3.0 * len(models) + 0.9, dpi=110, layout="constrained")
    axes = figure.subplots(len(models), len(shapes), squeeze=False)
    for row, model in enumerate(models):
        for column, shape in enumerate(shapes):
            _panel(axes[row][column], record, model["name"], shape["name"])
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    figure.supxlabel("replica-hours", fontsize=9, color=INK)
    figure.supylabel("requests outside the objective, %", fontsize=9, color=INK)
    return plots.png(figure)


def _panel(axes: Any, record: Mapping[str, Any], model: str, shape: str) -> None:
    runs = named(record["runs"], model, shape, record["starts_in_s"])
    for delays, colour in _SERVE.items():
        found = sorted((each for each in runs if each["policy"] != OURS and each["delays"] == delays), key=_target)
        label = f"Serve's default policy, delays {delays}"
        axes.plot(
            [each["replica_hours"] for each in found],
            [_missed(each) for each in found],
            "o",
            color=colour,
            ms=4,
            label=label,
        )
        for each in found:
            at = (each["replica_hours"], _missed(each))
            axes.annotate(f"{each['target']:g}", at, (4, 3), textcoords="offset points", fontsize=7, color=PALE)
    for each in (each for each in runs if each["policy"] == OURS):
        axes.plot([each["replica_hours"]], [_missed(each)], "*", color=GREEN, ms=13, label="TargetQueue")
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_ylim(_LEAST / 1.5, 60)
    plots.frame(axes, f"{model}: {shape}")


def _target(run: Mapping[str, Any]) -> float:
    return float(run["target"])


def _missed(run: Mapping[str, Any]) -> float:
    return max(_LEAST, 100 * (1 - float(run["attained"])))
