"""Measures a model several times over, so that a result can say how much its figures move between runs.

Of each step the run in the middle is kept, whole: its percentiles belong together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from configs.loader import ModelApp
from configs.problems import Keys
from pitstop.audit.audit_result import AuditResult, Budget, ExamineModel
from pitstop.audit.isolated import examine_model
from pitstop.audit.step import Step, ran


def repeated(runs: int, once: ExamineModel = examine_model) -> ExamineModel:
    """Return what measures a model `runs` times; after Ctrl-C it has the whole runs before, or the broken first."""

    def several(app: ModelApp, keys: Keys, budget: Budget) -> Iterator[AuditResult]:
        done: list[AuditResult] = []
        for _ in range(runs):
            latest = None
            for latest in once(app, keys, budget):
                if not done:
                    yield latest
            if latest is not None:
                done.append(latest)
                yield replace(latest, steps=merged([each.steps for each in done]))

    return several


def merged(runs: Sequence[Sequence[Step]]) -> tuple[Step, ...]:
    """Return the middle run of each step with the spread over all; a step that most runs lack is dropped."""
    found: dict[tuple[str, str], list[Step]] = {}
    for step in (step for steps in runs for step in steps):
        found.setdefault((step.spec.key, step.spec.label), []).append(step)
    return tuple(_middle(steps) for steps in found.values() if 2 * len(steps) > len(runs))


def _middle(steps: list[Step]) -> Step:
    timed = sorted((step for step, _ in ran(steps)), key=lambda step: step.items_s or 0)
    if 2 * len(timed) <= len(steps):
        return next(step for step in reversed(steps) if step.timing is None)
    rates = [step.items_s or 0 for step in timed]
    return replace(timed[len(timed) // 2], spread=(rates[0], rates[-1]) if len(rates) > 1 else None)
