"""An audit as JSON: for scripts, for CI, and for the results that the repository keeps."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from configs.document import Document

from .examine import Examined
from .hardware import Hardware, commit, versions
from .words import busy


def as_json(
    audits: Sequence[Examined], document: Document, machine: Hardware, command: str, status: int
) -> dict[str, Any]:
    """Return everything that was found; it holds no number that JSON cannot write."""
    found = {
        "config": str(document.path),
        "command": command,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": machine.as_json(),
        "versions": versions(),
        "exit_code": status,
        "models": [model_json(each, document) for each in audits],
    }
    return {key: _finite(value) for key, value in found.items()}


def model_json(examined: Examined, document: Document) -> dict[str, Any]:
    case = examined.case
    return {
        "name": case.app.config.name,
        "device": case.device,
        "threads": examined.threads,
        "setting": case.here.lines,
        "max_rows": case.rows,
        "fallback": case.fallback,
        "unmeasured": examined.unmeasured,
        "twin": examined.twin,
        "cut": examined.cut,
        "verdict": examined.verdict,
        "steps_planned": examined.planned,
        "busy": busy(case.steps),
        "steps": [step.as_json() for step in case.steps],
        "mistakes": [
            {"number": each.number, "title": each.title, "made": each.made, "factor": each.factor, "cost": each.cost}
            for each in examined.verdicts
        ],
        "findings": [finding.as_json(document) for finding in examined.findings],
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
