"""Examines the models of a file, one after the other: load, look, time, judge.

Two models that differ only in their names are timed once; without a GPU, `auto` and `cpu` are such twins.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from configs.loader import Deployment, ModelApp
from configs.problems import Keys
from models.errors import ModelError

from .built import build
from .case import Case, app_keys
from .finding import Finding, in_order
from .hardware import cores
from .measured import measured
from .mistakes import Verdict, verdicts
from .shown import shown
from .static import static
from .step import Step, setting_of
from .subject import load, threads_of
from .waterfall import Pace, waterfall

FALLBACK = "device: auto found no GPU on this machine, so all of this was measured on the CPU"
NO_GPU = "device: cuda is a GPU or nothing, and this machine has none: only its config was checked"


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model showed on its device; the part of an audit that takes time."""

    device: str
    found: tuple[Finding, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """One model's audit.

    `unmeasured` says why there are no steps, `broken` that there should be some, `twin` whose steps these are, and
    `cut` that Ctrl-C came before the last of them.
    """

    case: Case
    threads: int
    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...]
    unmeasured: str = ""
    broken: bool = False
    twin: str = ""
    cut: bool = False

    @property
    def made(self) -> int:
        return sum(finding.severity == "mistake" for finding in self.findings)


Look = Callable[[ModelApp, Keys, Pace], Iterator[Sight]]


def examine(deployment: Deployment, name: str | None, pace: Pace, look: Look | None = None) -> Iterator[Examined]:
    """Yield the audit of each model, or of the one called `name`; after Ctrl-C that of what was measured."""
    seen: dict[str, tuple[str, Sight]] = {}
    for app, keys in zip(deployment.models, app_keys(deployment), strict=True):
        if name is not None and app.config.name != name:
            continue
        neighbours = tuple(other for other in deployment.models if other is not app)
        case = Case(app, keys, deployment.raw, neighbours, app.config.device, None, cores())
        twin, sight = seen.get(_likeness(app), ("", None))
        if app.config.device == "cuda" and not has_gpu():
            yield _judged(Examined(case, 1, (), (), unmeasured=NO_GPU), None)
        elif sight is not None:
            yield _judged(Examined(case, 1, (), (), twin=twin), sight)
        else:
            found = _looked_at(case, pace, look or looked)
            yield found
            if found.cut:
                return
            if not found.broken:
                seen[_likeness(app)] = (app.config.name, _sight(found))


def looked(app: ModelApp, keys: Keys, pace: Pace) -> Iterator[Sight]:
    """Load and time one model; yields what is known so far after each step."""
    announce = pace.announce
    pace = replace(pace, announce=lambda step: announce(f"{app.config.name}: {step}"))
    with _quiet():
        pace.announce("loading")
        subject = load(app.config)
        built = build(subject, setting_of(app.config))
        pace.announce("proving")
        found = tuple(shown(subject, built, (*keys, "args")))
        sight = Sight(subject.device.type, found, ())
        for step in waterfall(subject, built, pace):
            sight = replace(sight, steps=(*sight.steps, step))
            yield sight


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
        case = replace(case, device=sight.device, fallback=fallback, steps=sight.steps, shown=found)
    findings = in_order([*found, *static(case), *measured(case)])
    judged = tuple(verdicts(case, findings))
    return replace(examined, case=case, threads=threads, findings=tuple(findings), verdicts=judged)


def _sight(examined: Examined) -> Sight:
    case = examined.case
    return Sight(case.device, case.shown, case.steps)


def _likeness(app: ModelApp) -> str:
    config = app.config
    device = ("cuda" if has_gpu() else "cpu") if config.device == "auto" else config.device
    return config.model_copy(update={"name": "", "device": device, "predict": None}).model_dump_json(warnings=False)


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


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
