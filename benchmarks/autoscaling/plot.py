"""Draws each run as a point: what it cost, and the share of requests it failed. Nearer to the corner is better."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from .cases import OURS
from .choose import named

_OURS, _SERVE = "#1f7a5c", {"of cluster.yaml": "#3b6ea8", "Serve's": "#c4533a"}
_INK, _PALE = "#1c2530", "#6b7685"
# A run without a miss has no place on a logarithmic scale but its edge.
_LEAST = 0.005


def draw(record: Mapping[str, Any]) -> bytes:
    """Return a PNG, one panel for each model and shape."""
    from matplotlib.figure import Figure

    models, shapes = record["models"], record["shapes"]
    figure = Figure(figsize=(3.1 * len(shapes) + 0.6, 3.0 * len(models) + 0.9), layout="constrained")
    axes = figure.subplots(len(models), len(shapes), squeeze=False)
    for row, model in enumerate(models):
        for column, shape in enumerate(shapes):
            _panel(axes[row][column], record, model["name"], shape["name"])
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    figure.supxlabel("replica-hours", fontsize=9, color=_INK)
    figure.supylabel("requests outside the objective, %", fontsize=9, color=_INK)
    out = BytesIO()
    # Without its date the same runs give the same file.
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


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
            axes.annotate(f"{each['target']:g}", at, (4, 3), textcoords="offset points", fontsize=7, color=_PALE)
    for each in (each for each in runs if each["policy"] == OURS):
        axes.plot([each["replica_hours"]], [_missed(each)], "*", color=_OURS, ms=13, label="TargetQueue")
    axes.set_title(f"{model}: {shape}", fontsize=9, color=_INK)
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_ylim(_LEAST / 1.5, 60)
    axes.tick_params(labelsize=8, colors=_PALE)
    axes.grid(True, color="#e3e7ec", linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _target(run: Mapping[str, Any]) -> float:
    return float(run["target"])


def _missed(run: Mapping[str, Any]) -> float:
    return max(_LEAST, 100 * (1 - float(run["attained"])))
