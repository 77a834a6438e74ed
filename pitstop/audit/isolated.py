"""Looks at a model in a process of its own: where a step ends the process, it is left out and another one goes on.

TorchScript in bf16, for one, ends it with a segmentation fault where forward makes float32 of an input.
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
from .finding import Finding, refusal, refusal_text
from .sight import LOADING, PROVING, Pace, Sight
from .step import STARTED, Head, Step, setting_of


@dataclass(frozen=True, slots=True)
class Order:
    """What the child is to look at; see sight.Pace."""

    app: ModelApp
    keys: Keys
    budget_s: float
    quick: bool
    known: dict[str, Step]


def look(app: ModelApp, keys: Keys, pace: Pace) -> Iterator[Sight]:
    """Yield what is known so far after each step, as look_here does; raise ModelError where it cannot be loaded."""
    known: dict[str, Step] = {}
    while True:
        head = LOADING
        order = Order(app, keys, pace.budget_s, pace.quick, known)
        try:
            for told in child_process.run(f"{__name__}:look_in_child", order, pace.limit_s, app.environment()):
                if isinstance(told, Head):
                    head = told
                    pace.announce(replace(head, label=f"{app.config.name}: {head.label}"))
                elif isinstance(told, Sight):
                    # A process that goes on where another one ended tells again what it was told.
                    if len(told.steps) >= len(known):
                        yield told
                    known = known | {step.head.key: step for step in told.steps}
                else:
                    raise ModelError(told)
            return
        except child_process.EndedError as ended:
            how = str(ended)
        if head == LOADING:
            raise ModelError(f"loading the model {how}\nhelp: correct what args.source names")
        if head == PROVING:
            yield Sight(device_here(app.config.device), (refusal(how, (*keys, "args")),), ())
            return
        known[head.key] = Step(head, skipped=how, refusal=how if head.key == STARTED else "")


def look_in_child(order: Order, report: child_process.Report) -> None:
    """The child: report each step ahead of it, and what is known after it; a ModelError as its text."""
    pace = Pace(order.budget_s, order.quick, report, order.known)
    try:
        for sight in look_here(order.app, order.keys, pace):
            report(sight)
    except ModelError as error:
        report(str(error))


def look_here(app: ModelApp, keys: Keys, pace: Pace) -> Iterator[Sight]:
    """Load and time one model in this process; yields what is known so far after each step.

    Raises:
        ModelError: it cannot be loaded.
    """
    from .built import build
    from .model_findings import model_findings, ops_per_row
    from .subject import load, subject_of
    from .waterfall import planned, waterfall

    args = (*keys, "args")
    with _quiet():
        pace.announce(LOADING)
        loaded = load(app.config)
        pace.announce(PROVING)
        found: tuple[Finding, ...] = ()
        try:
            subject = subject_of(loaded)
            built = build(subject, setting_of(app.config))
            found = tuple(model_findings(subject, built, args))
        except Exception as error:  # Whatever it raises, a replica would not start.
            yield Sight(loaded.device.type, (refusal(refusal_text(error), args),), ())
            return
        sight = Sight(subject.device.type, found, (), ops_per_row(subject, built), planned(subject, built))
        for step in waterfall(subject, built, pace):
            sight = replace(sight, steps=(*sight.steps, step))
            yield sight


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
