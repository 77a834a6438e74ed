"""The runs as Markdown: for each model and shape ours, beside what hindsight picks of Serve's."""

from collections.abc import Mapping, Sequence
from typing import Any

from pitstop.report.markdown import table

from .choose import Run, as_cheap, as_good, best, named, ours

_HEADS = (
    "traffic",
    "policy",
    "replica-hours",
    "within the objective",
    "p99 ms",
    "worst minute's p99 ms",
    "refused",
    "changes",
)


def render(record: Mapping[str, Any]) -> str:
    """Return the whole report."""
    parts = [_head(record)]
    for model in record["models"]:
        parts += [
            _model(model),
            "\n".join(table(_HEADS, _rows(record, model["name"]), "llrrrrrr")),
            _starts(record, model["name"]),
        ]
    return "\n\n".join(parts) + "\n"


def _head(record: Mapping[str, Any]) -> str:
    versions = record["versions"]
    lines = [
        "# Autoscaling, simulated",
        "",
        "![replica-hours against misses](autoscaling_simulated_202611.png)",
        "",
        f"A simulation, seed {record['seed']}; ray {versions['ray']}, whose own autoscaling code decides; commit "
        f"{record['commit']}. Command: `{record['command']}`.",
        "",
        f"A replica takes {record['starts_in_s']:.0f} s from its order to its first request, and counts from its order "
        "to the end of its draining. Of Serve's default policy every target listed in the JSON was tried, under its "
        "own delays (30 s up, 600 s down) and under those of configs/cluster.yaml (5 s up, 300 s down), for each kind "
        "of traffic anew; shown is what hindsight picks: *as good* is the cheapest that attains no less than ours, "
        "*best* the one that attains most, *as cheap* the best of those that cost no more than ours.",
        "",
        *(f"- **{each['name']}**: {each['what']}." for each in record["shapes"]),
    ]
    return "\n".join(lines)


def _model(model: Mapping[str, Any]) -> str:
    times = ", ".join(f"{rows}: {ms:.0f}" for rows, ms in model["forward_ms"].items())
    return (
        f"## {model['name']}\n\nForward, ms by rows: {times} ({model['source']}). Objective: {model['slo_ms']:g} ms; "
        f"target_queue_ms: {model['target_queue_ms']:.0f}, which is the objective less a forward of a full batch. "
        f"Peak: {model['peak_rps']:g} requests a second."
    )


def _rows(record: Mapping[str, Any], model: str) -> list[list[str]]:
    rows = []
    for shape in record["shapes"]:
        runs = named(record["runs"], model, shape["name"], record["starts_in_s"])
        rows.append([shape["name"], f"**{_name(ours(runs))}**", *_figures(ours(runs))])
        for what, found in (("as good", as_good(runs)), ("best", best(runs)), ("as cheap", as_cheap(runs))):
            rows.append(["", f"{what}: {_name(found) if found else 'none'}", *_figures(found)])
    return rows


def _starts(record: Mapping[str, Any], model: str) -> str:
    others = sorted({each["starts_in_s"] for each in record["runs"]} - {record["starts_in_s"]})
    heads = ["traffic", "start, s", "ours: replica-hours, within the objective", "Serve's"]
    rows = []
    for shape in record["shapes"]:
        picked = as_good(named(record["runs"], model, shape["name"], record["starts_in_s"]))
        for starts_in_s in others:
            runs = named(record["runs"], model, shape["name"], starts_in_s)
            same = [each for each in runs if picked and _name(each) == _name(picked)]
            rows.append([shape["name"], f"{starts_in_s:.0f}", _pair([ours(runs)]), _pair(same)])
    told = "Where a start takes another time, ours beside the *as good* from above:"
    return "\n".join([told, "", *table(heads, rows, "lrrr")])


def _pair(runs: Sequence[Run]) -> str:
    return f"{runs[0]['replica_hours']:.2f}, {100 * runs[0]['attained']:.2f} %" if runs else "none"


def _name(run: Run) -> str:
    if run["policy"] == "TargetQueue":
        return f"TargetQueue, {run['target']:.0f} ms"
    return f"Serve's, target {run['target']:g}, delays {run['delays']}"


def _figures(run: Run | None) -> list[str]:
    if run is None:
        return [""] * (len(_HEADS) - 2)
    return [
        f"{run['replica_hours']:.2f}",
        f"{100 * run['attained']:.2f} %",
        f"{run['p99_ms']:,.0f}",
        f"{run['worst_p99_ms']:,.0f}",
        f"{run['refused']:,}",
        str(run["changes"]),
    ]
