"""Measures how near a faster precision is to eager fp32, by the measures of a config's `accept`."""

from configs.accept import AcceptConfig
from models.errors import ModelError
from models.runtime.runner import Runner
from models.startup.acceptance import acceptance, expected
from models.startup.row_checks import prepared

from .built import Built
from .step import Near
from .subject import Subject, arithmetic


def near(subject: Subject, built: Built, budget_s: float) -> Near | None:
    """Compare as many rows as eager answers in `budget_s`; None where nothing can be compared."""
    config = subject.config.model_copy(update={"accept": AcceptConfig(tolerance=1.0)})
    runner = Runner(built.forward, subject.samples.model_inputs, subject.outputs, built.layout)
    try:
        with arithmetic(built.config, subject.fixed):
            known = expected(subject.reference, subject.samples, config, None, budget_s)
            found = acceptance(prepared(runner, None), known)
    except ModelError:
        return None
    agreement = min((each.agreement for each in found.figures if each.agreement is not None), default=None)
    cosine = min((each.cosine for each in found.figures if each.cosine is not None), default=None)
    return Near(found.rows, agreement, cosine, max(each.deviation or 0.0 for each in found.figures))
