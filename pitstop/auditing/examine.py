"""Examines the models of a file, one after the other: load, look, time, judge.

Two models that differ only in their names are timed once; without a GPU, `auto` and `cpu` are such twins.
"""

from collections.abc import Iterator
from dataclasses import replace

from configs.loader import Deployment, ModelApp
from models.errors import ModelError

from ..measure.hardware import cores, threads_of
from . import isolated
from .case import Case, app_keys
from .examined import Examined, Look, Sight
from .finding import Finding, in_order
from .measured import measured
from .mistakes import verdicts
from .pace import Pace
from .static import static

FALLBACK = "device: auto found no GPU on this machine, so all of this was measured on the CPU"
NOT_REACHED = "not audited: stopped by Ctrl-C before its turn"
NO_GPU = "device: cuda is a GPU or nothing, and this machine has none: only its config was checked"


def examine(deployment: Deployment, name: str | None, pace: Pace, look: Look | None = None) -> Iterator[Examined]:
    """Yield the audit of each model, or of the one called `name`; after Ctrl-C that of what was measured."""
    seen: dict[str, tuple[str, Sight]] = {}
    stopped = False
    for app, keys in zip(deployment.models, app_keys(deployment), strict=True):
        if name is not None and app.config.name != name:
            continue
        neighbours = tuple(other for other in deployment.models if other is not app)
        case = Case(app, keys, deployment.raw, neighbours, app.config.device, None, cores())
        twin, sight = seen.get(_likeness(app), ("", None))
        if stopped:
            yield _judged(Examined(case, 1, (), (), unmeasured=NOT_REACHED, cut=True), None)
        elif app.config.device == "cuda" and not has_gpu():
            yield _judged(Examined(case, 1, (), (), unmeasured=NO_GPU), None)
        elif sight is not None:
            yield _judged(Examined(case, 1, (), (), twin=twin), sight)
        else:
            found = _looked_at(case, pace, look or isolated.looked)
            yield found
            if found.cut:
                stopped = True
            elif not found.broken:
                seen[_likeness(app)] = (app.config.name, _sight(found))


def _looked_at(case: Case, pace: Pace, look: Look) -> Examined:
    sight, broken, cut = None, "", False
    try:
        for latest in look(case.app, case.keys, pace):
            sight = latest
    except ModelError as error:
        broken = str(error)
    except KeyboardInterrupt:
        cut = True
    return _judged(Examined(case, 1, (), (), unmeasured=broken, broken=bool(broken), cut=cut), sight)


def _judged(examined: Examined, sight: Sight | None) -> Examined:
    case = examined.case
    found: tuple[Finding, ...] = ()
    threads = threads_of(case.app.config)
    if sight is not None:
        # A twin's findings are told where the twin itself stands in the file.
        found = tuple(replace(each, keys=(*case.keys, *each.keys[2:])) for each in sight.found)
        fallback = FALLBACK if (case.app.config.device, sight.device) == ("auto", "cpu") else None
        case = replace(
            case, device=sight.device, fallback=fallback, steps=sight.steps, shown=found, ops_per_row=sight.ops_per_row
        )
        examined = replace(examined, planned=sight.planned)
    case = replace(case, complete=bool(case.steps) and not examined.cut)
    findings = in_order([*found, *static(case), *measured(case)])
    judged = tuple(verdicts(case, findings))
    return replace(examined, case=case, threads=threads, findings=tuple(findings), verdicts=judged)


def _sight(examined: Examined) -> Sight:
    case = examined.case
    return Sight(case.device, case.shown, case.steps, case.ops_per_row, examined.planned)


def _likeness(app: ModelApp) -> str:
    config = app.config
    device = ("cuda" if has_gpu() else "cpu") if config.device == "auto" else config.device
    return config.model_copy(update={"name": "", "device": device, "predict": None}).model_dump_json(warnings=False)


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
