"""Writes an audit into a folder: audit.html to read, audit.json for scripts, and a PNG of each model's waterfall."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.document import Document

from ..measure.hardware import Hardware
from ..measure.results import told
from ..report import folder
from ..report.render import render
from .examine import Examined
from .formatting import HEADS, busy, cells, factor, first_items_s
from .mistakes import Verdict
from .picture import picture
from .step import Step, grouped


def write(
    into: Path, audits: Sequence[Examined], document: Document, machine: Hardware, record: Mapping[str, Any]
) -> Path:
    """Write all files and return the path of the page."""
    pictures = {each.case.app.config.name: picture(each, machine) for each in audits if not each.twin}
    drawn = {name: png for name, png in pictures.items() if png is not None}
    text = page(audits, drawn, document, machine, record)
    named = {f"{name}.png": png for name, png in drawn.items()}
    folder.write(into, {**named, "audit.json": record, "audit.html": text})
    return into / "audit.html"


def page(
    audits: Sequence[Examined],
    pictures: Mapping[str, bytes],
    document: Document,
    machine: Hardware,
    record: Mapping[str, Any],
) -> str:
    """Return the page. `pictures` has a PNG of each model that was measured, by its name; `record` is the JSON."""
    return render(
        "audit.html.j2",
        title=f"pitstop audit of {document.path}",
        command=record["command"],
        made_on=told(record),
        machine=machine.title(),
        verdict="; ".join(f"{each.case.app.config.name}: {each.verdict}" for each in audits),
        good=all(each.judged == "good" for each in audits),
        heads=("p50 ms", "p99 ms", "runs", *HEADS[2:]),
        models=[_model(each, pictures, document) for each in audits],
    )


def _model(examined: Examined, pictures: Mapping[str, bytes], document: Document) -> dict[str, Any]:
    """Return what the page shows of a model; a twin's steps are shown where they were measured."""
    name, steps = examined.case.app.config.name, () if examined.twin else examined.case.steps
    return {
        "name": name,
        "chose": examined.case.chose,
        "twin": examined.twin,
        "unmeasured": examined.unmeasured,
        "picture": pictures.get(name),
        "busy": busy(steps),
        "verdicts": [_verdict(each) for each in examined.verdicts],
        "findings": [each.as_json(document) for each in examined.findings],
        "groups": [{"title": group.title, "steps": _rows(group.steps, steps)} for group in grouped(steps)],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "number": verdict.number,
        "title": verdict.title,
        "word": verdict.word,
        "times": factor(verdict.factor),
        "cost": verdict.cost,
    }


def _rows(group: Sequence[Step], steps: Sequence[Step]) -> list[tuple[Step, list[str]]]:
    """Return each step with its cells, and how often it ran among them; no cells where it was left out."""
    found = []
    for step in group:
        row = cells(step, first_items_s(steps))
        runs = [f"{step.timing.runs:,}"] if step.timing else []
        found.append((step, [*row[:2], *runs, *row[2:]]))
    return found
