"""`pitstop audit`: which of the five mistakes a config still makes, and what each costs on this machine.

Exits with 1 if a mistake is made, so that CI can stop a deployment; hints and warnings do not count.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from configs.document import Document, read
from configs.loader import ConfigError, Deployment
from configs.open_sizes import OPEN_SIZE

from ..complete import load_completed
from ..plan.place import model_names
from ..report.terminal import plain_console
from .finding import Finding

if TYPE_CHECKING:
    from .audit_result import ExamineModel
    from .examine import Examined

CLEAN, MISTAKES, UNUSABLE, STOPPED = 0, 1, 2, 130


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What the user asked for."""

    path: Path
    name: str | None = None
    written: Path | None = None
    report: Path | None = None
    quick: bool = False

    @property
    def only_json(self) -> bool:
        return self.written == Path("-")


def audit(options: AuditOptions, console: Console | None = None, examine_model: "ExamineModel | None" = None) -> int:
    """Audit one file, show what was found, and return the exit status. Tests bring their own `examine_model`."""
    console = console or plain_console()
    document = None
    try:
        if options.written is not None and not options.written.resolve().parent.is_dir():
            return _refuse(f"{options.written}: there is no such folder\nhelp: make it first", options, console)
        document = read(options.path)
        return _audit(options, document, _deployment(options), console, examine_model)
    except ConfigError as error:
        found = _open_sizes(error)
        if document is None or not found:
            return _refuse(str(error), options, console)
        return _show_findings(found, document, options, console)


def _deployment(options: AuditOptions) -> Deployment:
    deployment = load_completed(options.path)
    model_names(deployment, options.name)
    return deployment


def _audit(
    options: AuditOptions,
    document: Document,
    deployment: Deployment,
    console: Console,
    examine_model: "ExamineModel | None",
) -> int:
    # torch takes seconds to import; --help and a broken file need not wait for it.
    from .audit_result import BUDGET_S, QUICK_BUDGET_S, Budget
    from .examine import examine

    with plain_console(stderr=True).status("starting") as line:
        budget_s = QUICK_BUDGET_S if options.quick else BUDGET_S
        budget = Budget(budget_s, options.quick, lambda step: line.update(f"measuring {step.label}"))
        audits = tuple(examine(deployment, options.name, budget, examine_model))
    status = _status(audits)
    _show(options, audits, document, console, status)
    return status


def _status(audits: "Sequence[Examined]") -> int:
    if any(each.cut for each in audits):
        return STOPPED
    if any(each.broken for each in audits) or all(each.unmeasured for each in audits):
        return UNUSABLE
    return MISTAKES if any(each.made or each.refused for each in audits) else CLEAN


def _show(
    options: AuditOptions, audits: "Sequence[Examined]", document: Document, console: Console, status: int
) -> None:
    from ..measure import results
    from ..measure.hardware import hardware
    from .record import as_json
    from .table import show

    machine = hardware()
    record = as_json(audits, document, results.head(["pitstop", *sys.argv[1:]], gpu=True), status)
    _write(options, record)
    if not options.only_json:
        for examined in audits:
            show(examined, document, machine, console)
    if options.report is not None:
        from .report import write

        page = write(options.report, audits, document, machine, record)
        if not options.only_json:
            console.print(f"report: {page}", soft_wrap=True)


def _open_sizes(error: ConfigError) -> list[Finding]:
    """Return the findings of a file whose only errors are open sizes, which the schema refuses: mistake 2."""
    found = [each for each in error.problems if each.kind == OPEN_SIZE]
    if len(found) < len(error.problems):
        return []
    return [Finding("mistake", each.what, each.keys, "lengths: [16, 32, 64]", mistake=2) for each in found]


def _show_findings(found: list[Finding], document: Document, options: AuditOptions, console: Console) -> int:
    from .table import show_finding

    shown: list[dict[str, Any]] = [each.as_json(document) for each in found]
    _write(options, {"config": str(options.path), "exit_code": MISTAKES, "models": [], "findings": shown})
    if not options.only_json:
        for each in found:
            show_finding(each, document, console)
    return MISTAKES


def _refuse(text: str, options: AuditOptions, console: Console) -> int:
    if options.only_json:
        _write(options, {"config": str(options.path), "exit_code": UNUSABLE, "error": text})
    else:
        console.print(text, style="red", markup=False, soft_wrap=True)
    return UNUSABLE


def _write(options: AuditOptions, record: dict[str, Any]) -> None:
    from ..measure import results

    if options.written is not None:
        results.write_to(options.written, record)
