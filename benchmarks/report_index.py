"""The reports' index: each command as it was given, how it ended, and one line of what it found."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pitstop.measure.results import told
from pitstop.report.numbers import rate

from .report_steps import PORT, ReportStep, Subject


@dataclass(frozen=True, slots=True)
class CommandRun:
    """One command. `failed` says in a line why it has no finding; `output` is what it printed."""

    step: ReportStep
    took_s: float
    output: str
    failed: str = ""


def render(record: Mapping[str, Any], ran: Sequence[tuple[Subject, Sequence[CommandRun]]], folder: Path) -> str:
    """Return the index as Markdown; `folder` has one folder a model."""
    lines = [
        "# What `pitstop` says of the bundled models",
        "",
        told(record),
        "",
        f"    {record['command']}",
        "",
        f"Each model is served alone by `serve run`; its port is written as {PORT}. The load comes from the same "
        "machine. No GPU was at hand: its side of each comparison is a price, and what it would have to sustain.",
    ]
    for subject, each in ran:
        lines += ["", f"## {subject.name}", ""]
        for one in each:
            lines += _told(one, folder / subject.name)
        lines += _pictures(folder, subject)
    return "\n".join(lines) + "\n"


def finding(ran: CommandRun, folder: Path) -> str:
    """Return the one line that a command's files or output are worth."""
    if ran.failed:
        return f"**failed**: {ran.failed}"
    try:
        return _FOUND[ran.step.name](folder, ran.output)
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"**failed**: it left no figures ({type(error).__name__})"


def _told(ran: CommandRun, folder: Path) -> list[str]:
    command = " ".join(("pitstop", *ran.step.words))
    files = [f"{ran.step.name}.txt", *_FILES.get(ran.step.name, ())]
    links = ", ".join(f"[{name}]({folder.name}/{name})" for name in files if (folder / name).exists())
    return [f"- `{command}` ({ran.took_s:.0f} s)  ", f"  {finding(ran, folder)}  ", f"  {links}"]


def _pictures(folder: Path, subject: Subject) -> list[str]:
    found = [("waterfall", f"audit/{subject.model}.png"), ("cost over traffic", "compare/compare.png")]
    return [
        line
        for name, path in found
        if (folder / subject.name / path).exists()
        for line in ("", f"![{subject.name}: {name}]({subject.name}/{path})")
    ]


def _audit(folder: Path, _: str) -> str:
    [model] = json.loads((folder / "audit" / "audit.json").read_text())["models"]
    made = sorted({each["number"] for each in model["mistakes"] if each["made"]})
    measured = [each for each in model["steps"] if each["items_s"]]
    first = measured[0]
    configured = [each for each in measured if each["kind"] in ("path", "batch")]
    best = max(configured, key=lambda each: each["items_s"])
    verdict = f"mistakes still made: {', '.join(map(str, made))}" if made else "none of the five mistakes"
    factor = best["items_s"] / first["items_s"]
    spoilt = f"; {model['busy']}" if model["busy"] else ""
    rates = f"{best['items_s']:,.0f} items/s ({best['label']}) against {first['items_s']:,.0f} ({first['label']})"
    return f"{verdict}; {rates}: {factor:.1f} times{spoilt}"


def _load(folder: Path, _: str) -> str:
    found = json.loads((folder / "load.json").read_text())
    levels = {each["level"]: each for each in found["percentiles"]}
    high = levels[0.99]
    upper = "?" if high["high"] is None else f"{high['high']:.3g}"
    limit = f"; the client was the limit: {'; '.join(found['client_limit'])}" if found["client_limit"] else ""
    return (
        f"{found['answered']:,} answers at {found['plan']['rate_rps']:g}/s, p50 {levels[0.5]['value']:.3g} ms, "
        f"p99 {high['value']:.3g} ms (95 %: {high['low']:.3g} to {upper}), {found['failed_share']:.2%} failed{limit}"
    )


def _compare(folder: Path, _: str) -> str:
    found = json.loads((folder / "compare" / "compare.json").read_text())
    rate_rps = found["cpu"]["capacity"]["rate_rps"]
    return f"the CPU replica sustains {rate(rate_rps)}/s with p99 within {found['slo_ms']:g} ms. {found['verdict']}"


def _plan(_: Path, output: str) -> str:
    if (none := re.search(r"no setting keeps p99 within .*", output)) is not None:
        return none[0]
    chosen = re.search(r"^\d+ replicas? on .*", output, re.M)
    if chosen is None:
        raise ValueError("no plan")
    # label, rate, p50 predicted and measured, p99 predicted and measured
    row = r"^(planned|\d\d %) +(\d+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)"
    checks = [
        f"{label} ({asked}/s) {said} and {was}" for label, asked, _, _, said, was in re.findall(row, output, re.M)
    ]
    if not checks:
        raise ValueError("not verified")
    return f"{chosen[0]}; p99 in ms, predicted and measured: {'; '.join(checks)}"


_FOUND: Mapping[str, Callable[[Path, str], str]] = {
    "audit": _audit,
    "load": _load,
    "compare": _compare,
    "plan": _plan,
}
_FILES = {
    "audit": ("audit/audit.html", "audit/audit.json"),
    "load": ("load.json",),
    "compare": ("compare/compare.html", "compare/compare.json"),
    "plan": ("plan.yaml", "profile.json"),
}
