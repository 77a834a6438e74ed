"""Examines a model in a process of its own: if a step ends the process, that step is left out and a new one goes on.

TorchScript in bf16, for one, ends it with a segmentation fault if forward converts an input to float32.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from configs.loader import ModelApp
from configs.problems import Keys
from models.errors import ModelError

from .. import child_process
from ..measure.hardware import device_here
from .audit_result import CHOOSING, LOADING, PROVING, AuditResult, Budget, Choice
from .finding import Finding, refusal, refusal_text
from .step import STARTED, Step, StepSpec, setting_of

_NAME_ONE = "help: name a backend and a precision; one of those that a start compares ends the process"


@dataclass(frozen=True, slots=True)
class Order:
    """What the child examines; see Budget."""

    app: ModelApp
    keys: Keys
    step_s: float
    quick: bool
    known: dict[str, Step]
    choice: Choice | None


def examine_model(app: ModelApp, keys: Keys, budget: Budget) -> Iterator[AuditResult]:
    """Yield what is known so far after each step, as examine_here does; raise ModelError if it cannot be loaded."""
    known: dict[str, Step] = {}
    choice: Choice | None = None
    while True:
        spec = LOADING
        order = Order(app, keys, budget.step_s, budget.quick, known, choice)
        try:
            for told in child_process.run(f"{__name__}:examine_in_child", order, budget.limit_s, app.environment()):
                if isinstance(told, StepSpec):
                    spec = told
                    budget.announce(replace(spec, label=f"{app.config.name}: {spec.label}"))
                elif isinstance(told, AuditResult):
                    # A process that goes on after another one first reports the steps that it was given.
                    if len(told.steps) >= len(known):
                        yield told
                    choice = told.choice
                    known = known | {step.spec.key: step for step in told.steps}
                else:
                    raise ModelError(told)
            return
        except child_process.EndedError as ended:
            how = str(ended)
        if spec == LOADING:
            raise ModelError(f"loading the model {how}\nhelp: correct what args.source names")
        if spec in (CHOOSING, PROVING):
            said = f"comparing its candidates {how}\n{_NAME_ONE}" if spec == CHOOSING else how
            yield AuditResult(device_here(app.config.device), (refusal(said, (*keys, "args")),), ())
            return
        known[spec.key] = Step(spec, skipped=how, refusal=how if spec.key == STARTED else "")


def examine_in_child(order: Order, report: child_process.Report) -> None:
    """The child: report each step ahead of it, and what is known after it; a ModelError as its text."""
    budget = Budget(order.step_s, order.quick, report, order.known, order.choice)
    try:
        for result in examine_here(order.app, order.keys, budget):
            report(result)
    except ModelError as error:
        report(str(error))


def examine_here(app: ModelApp, keys: Keys, budget: Budget) -> Iterator[AuditResult]:
    """Load and time one model in this process; yields what is known so far after each step.

    Raises:
        ModelError: it cannot be loaded.
    """
    from .built import build
    from .chosen import choose, leaves_a_choice
    from .model_findings import model_findings, ops_per_row
    from .subject import load, subject_of
    from .waterfall import planned, waterfall

    args = (*keys, "args")
    with _quiet():
        budget.announce(LOADING)
        loaded = load(app.config)
        budget.announce(PROVING)
        found: tuple[Finding, ...] = ()
        try:
            subject, choice = subject_of(loaded, minutes=not budget.quick), budget.choice
            if choice is None and leaves_a_choice(subject):
                budget.announce(CHOOSING)
                choice = choose(subject)
            budget.announce(PROVING)
            built = build(subject, choice.setting if choice else setting_of(app.config))
            if choice is not None and choice.refused:
                built = replace(built, refused=choice.refused)
            found = tuple(model_findings(subject, built, args))
        except Exception as error:  # Whatever it raises, a replica would not start.
            yield AuditResult(loaded.device.type, (refusal(refusal_text(error), args),), ())
            return
        figures = ops_per_row(subject, built), planned(subject, built)
        result = AuditResult(subject.device.type, found, (), *figures, choice)
        for step in waterfall(subject, built, budget):
            result = replace(result, steps=(*result.steps, step))
            yield result


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's and our own warnings out of the table: each becomes a note or a finding where it matters."""
    log = logging.getLogger("pitstop")
    before = log.disabled
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = before
