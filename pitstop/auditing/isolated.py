"""Looks at a model in a process of its own: where a step ends the process, it is left out and another one goes on.

TorchScript in bf16, for one, ends it with a segmentation fault where forward makes float32 of an input.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from configs.loader import ModelApp
from configs.problems import Keys
from models.errors import ModelError

from .. import child_process
from .examined import Sight
from .finding import refusal
from .pace import LOADING, PROVING, Pace
from .step import STARTED, Head, Step


@dataclass(frozen=True, slots=True)
class Order:
    """What the child is to look at; see pace.Pace."""

    app: ModelApp
    keys: Keys
    budget_s: float
    quick: bool
    known: dict[str, Step]


def looked(app: ModelApp, keys: Keys, pace: Pace) -> Iterator[Sight]:
    """Yield what is known so far after each step; see looked.looked."""
    known: dict[str, Step] = {}
    while True:
        head = LOADING
        order = Order(app, keys, pace.budget_s, pace.quick, known)
        try:
            for told in child_process.run(f"{__name__}:look_here", order, pace.limit_s, app.environment()):
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
            from .subject import choose  # It imports torch, which the child alone needs as a rule.

            yield Sight(choose(app.config.device), (refusal(how, (*keys, "args")),), ())
            return
        known[head.key] = Step(head, skipped=how, refusal=how if head.key == STARTED else "")


def look_here(order: Order, report: child_process.Report) -> None:
    """The child: report each step ahead of it, and what is known after it; a ModelError as its text."""
    from .looked import looked as look

    pace = Pace(order.budget_s, order.quick, report, order.known)
    try:
        for sight in look(order.app, order.keys, pace):
            report(sight)
    except ModelError as error:
        report(str(error))
