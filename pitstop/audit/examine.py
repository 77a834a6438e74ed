"""Examines the models of a file, one after the other: load, check, time, judge.

Two models that differ only in their names are timed once; without a GPU, `auto` and `cpu` are such twins.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from configs.loader import Deployment, ModelApp
from models.errors import ModelError

from ..measure import hardware
from ..plan.place import app_keys
from ..report.numbers import plural
from . import isolated
from .audit_result import AuditResult, Budget, ExamineModel
from .case import Case
from .config_findings import config_findings
from .finding import Finding, in_order
from .mistakes import NOT_MEASURED, UNCLEAR, Verdict, verdicts
from .timing_findings import timing_findings

FALLBACK = "device: auto found no GPU on this machine, so all of this was measured on the CPU"
NOT_REACHED = "not audited: stopped by Ctrl-C before its turn"
NO_GPU = "device: cuda is a GPU or nothing, and this machine has none: only its config was checked"


@dataclass(frozen=True, slots=True)
class Examined:
    """One model's audit.

    `unmeasured` says why there are no steps, `broken` that this is an error, `twin` which model's steps these are, and
    `cut` that Ctrl-C came before the last one.
    """

    case: Case
    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...]
    unmeasured: str = ""
    broken: bool = False
    twin: str = ""
    cut: bool = False
    planned: int = 0

    @property
    def threads(self) -> int:
        return self.case.app.config.threads

    @property
    def made(self) -> int:
        return sum(finding.severity == "mistake" for finding in self.findings)

    @property
    def refused(self) -> bool:
        """Whether a start refuses the config."""
        return any(finding.severity == "refusal" for finding in self.findings)

    @property
    def unclear(self) -> list[int]:
        """The mistakes that the measurements neither show nor rule out."""
        return [each.number for each in self.verdicts if each.word == UNCLEAR]

    @property
    def judged(self) -> Literal["bad", "open", "good"]:
        """Whether the model may be deployed, as far as this audit went."""
        if self.made or self.refused or self.broken:
            return "bad"
        return "open" if self.unmeasured or self.cut or self.unclear else "good"

    @property
    def verdict(self) -> str:
        """The last line of the audit."""
        found = ["a start refuses this config"] * self.refused
        found += [f"{plural(self.made, 'mistake')} still made"] * bool(self.made)
        said = "; ".join(found)
        if self.cut:
            steps = len(self.case.steps)
            return f"stopped: {said or 'nothing found'} in {steps} of {max(steps, self.planned) or 'all'} steps"
        if self.unclear and not said:
            return f"no mistake shown; mistake {self.unclear[0]} is unclear: repeat it when the machine is idle"
        return said or (NOT_MEASURED if self.unmeasured else "none of the five mistakes")


def examine(
    deployment: Deployment, name: str | None, budget: Budget, examine_model: ExamineModel | None = None
) -> Iterator[Examined]:
    """Yield the audit of each model, or of the one called `name`; after Ctrl-C that of what was measured."""
    seen: dict[str, tuple[str, AuditResult]] = {}
    stopped = False
    for app, keys in zip(deployment.models, app_keys(deployment), strict=True):
        if name is not None and app.config.name != name:
            continue
        neighbours = tuple(other for other in deployment.models if other is not app)
        where = app.config.device, None, hardware.cores()
        case = Case(app, keys, deployment.raw, neighbours, *where, path=deployment.path)
        twin, result = seen.get(_likeness(app), ("", None))
        if stopped:
            yield _judged(Examined(case, (), (), unmeasured=NOT_REACHED, cut=True), None)
        elif app.config.device == "cuda" and not hardware.has_gpu():
            yield _judged(Examined(case, (), (), unmeasured=NO_GPU), None)
        elif result is not None:
            yield _judged(Examined(case, (), (), twin=twin), result)
        else:
            found = _examined(case, budget, examine_model or isolated.examine_model)
            yield found
            if found.cut:
                stopped = True
            elif not found.broken:
                seen[_likeness(app)] = (app.config.name, _result(found))


def _examined(case: Case, budget: Budget, examine_model: ExamineModel) -> Examined:
    result, broken, cut = None, "", False
    try:
        for latest in examine_model(case.app, case.keys, budget):
            result = latest
    except ModelError as error:
        broken = str(error)
    except KeyboardInterrupt:
        cut = True
    return _judged(Examined(case, (), (), unmeasured=broken, broken=bool(broken), cut=cut), result)


def _judged(examined: Examined, result: AuditResult | None) -> Examined:
    case = examined.case
    found: tuple[Finding, ...] = ()
    if result is not None:
        # A twin's findings get the twin's own place in the file.
        found = tuple(replace(each, keys=(*case.keys, *each.keys[2:])) for each in result.findings)
        fallback = FALLBACK if (case.app.config.device, result.device) == ("auto", "cpu") else None
        case = replace(
            case,
            device=result.device,
            fallback=fallback,
            steps=result.steps,
            model_findings=found,
            ops_per_row=result.ops_per_row,
            choice=result.choice,
        )
        examined = replace(examined, planned=result.planned)
    case = replace(case, complete=bool(case.steps) and not examined.cut)
    findings = in_order([*found, *config_findings(case), *timing_findings(case)])
    judged = tuple(verdicts(case, findings))
    return replace(examined, case=case, findings=tuple(findings), verdicts=judged)


def _result(examined: Examined) -> AuditResult:
    case = examined.case
    return AuditResult(case.device, case.model_findings, case.steps, case.ops_per_row, examined.planned, case.choice)


def _likeness(app: ModelApp) -> str:
    config = app.config
    device = hardware.device_here(config.device)
    return config.model_copy(update={"name": "", "device": device, "predict": None}).model_dump_json(warnings=False)
