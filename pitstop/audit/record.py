"""An audit as JSON: for scripts, for CI, and for the results that the repository keeps."""

from collections.abc import Mapping, Sequence
from typing import Any

from configs.document import Document

from ..measure.results import finite
from .examine import Examined
from .formatting import busy


def as_json(audits: Sequence[Examined], document: Document, head: Mapping[str, Any], status: int) -> dict[str, Any]:
    """Return everything that was found; it holds no number that JSON cannot write."""
    models = [finite(model_json(each, document)) for each in audits]
    return {"config": str(document.path), **head, "exit_code": status, "models": models}


def model_json(examined: Examined, document: Document) -> dict[str, Any]:
    case = examined.case
    return {
        "name": case.app.config.name,
        "device": case.device,
        "threads": examined.threads,
        "setting": case.here.lines,
        "asked": {"backend": case.app.config.backend, "precision": case.app.config.precision},
        "compared": list(case.choice.compared) if case.choice else [],
        "max_batch_size": case.rows,
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
