"""The waterfall: the configured model from train mode, one item at a time, to batches in its configured setting.

Each step is built, run and dropped before the next, so that a large model need not fit into memory ten times.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from configs.backends import backend_of
from models.compile.aoti import has_compiler
from models.compile.quantized import no_candidate
from models.errors import ModelError, first_line

from ..measure.hardware import cores
from ..report.numbers import plural
from .audit_result import Budget
from .built import Built, build, four_dimensional, started, started_label, started_spec, unprepared
from .finding import refusal_text
from .nearness import near
from .plan import Takes, single_rows, thin
from .run import Arm, UnfaithfulError, attempt
from .side_steps import changes, changing, default
from .step import ForwardSetting, Step, StepSpec, batches, configured, fastest, find, forgone, ran
from .subject import Subject, load, subject_of
from .timing import clearly_faster

# An option that gains less than this on one row is not tried in batches.
PROMISING = 1.1
# How long eager may answer, in steps, for the measures of `accept`.
_NEAR_S = 4
_LEFT_OUT = "compiling takes long: left out by --quick"


@dataclass(slots=True)
class Own:
    """The model in the config's setting: as compiled, and, once `served` was called, as a start leaves it."""

    compiled: Built
    started: Built | None = None

    def served(self, subject: Subject) -> Built:
        """Return what a replica runs."""
        if self.started is None:
            self.started = started(subject, self.compiled)
        return self.started


def waterfall(subject: Subject, as_configured: Built, budget: Budget) -> Iterator[Step]:
    """Yield every step, the worst way to run the model first."""
    done: list[Step] = []
    own = Own(as_configured)
    for part in (_careless, _single, _started, _batches, _best_option, _default, _changing, _threads, _on_cpu):
        for step in part(subject, own, budget, tuple(done)):
            done.append(step)
            yield step


def planned(subject: Subject, as_configured: Built) -> int:
    """Return how many steps there will be, without those that depend on the results of others."""
    return (
        2
        + len(_single_specs(subject, as_configured.setting))
        + (started_label(subject, as_configured) is not None)
        + len(_batch_rows(subject))
        + 2 * bool(forgone(subject.asked, as_configured.how))
        + 2 * changes(subject)
        + _has_spare_threads(subject)
        + (subject.device.type == "cuda")
    )


def _careless(subject: Subject, _: Own, budget: Budget, __: Iterable[Step]) -> Iterator[Step]:
    for key, training in (("train", True), ("eval", False)):
        spec = StepSpec(key, f"{key} mode, gradients", "mistake")
        yield attempt(spec, partial(_recording, subject, training), subject, budget)


def _single(subject: Subject, own: Own, budget: Budget, _: Iterable[Step]) -> Iterator[Step]:
    here = own.compiled.setting
    for spec in _single_specs(subject, here):
        setting = spec.setting
        assert setting is not None
        backend = backend_of(setting.backend)
        # What is kept of a slow one is loaded quickly.
        if budget.quick and backend.slow and not backend.built and setting != here:
            yield Step(spec, skipped=_LEFT_OUT)
            continue
        autotuning = False if spec.key in ("inference_mode", "channels_last") else None
        ready = own.compiled if setting == here else None
        yield attempt(spec, partial(_prepared, subject, setting, ready, autotuning), subject, budget)


def _single_specs(subject: Subject, here: ForwardSetting) -> list[StepSpec]:
    gpu, quantized = subject.device.type == "cuda", not no_candidate(subject.plain)
    takes = Takes(subject.config.source, quantized, has_compiler())
    return single_rows(here, four_dimensional(subject), gpu, subject.fixed, takes)


def _started(subject: Subject, own: Own, budget: Budget, _: Iterable[Step]) -> Iterator[Step]:
    """The start itself: every check of a replica, and the forward that it would run."""
    spec = started_spec(subject, own.compiled)
    if spec.key in budget.known:
        known = budget.known[spec.key]
        # A start that was refused, or ended the process, is not tried again.
        own.started = own.compiled if known.skipped else None
        yield known
        return
    budget.announce(spec)
    try:
        found = own.served(subject)
    except Exception as error:  # Whatever it raises, a replica would not start.
        own.started = own.compiled
        yield Step(spec, skipped="a start refuses this config", refusal=refusal_text(error))
        return
    if found.forward is not own.compiled.forward:
        yield attempt(spec, lambda: Arm(found), subject, budget)
    elif started_label(subject, own.compiled):
        yield Step(spec, skipped="no faster here, at any batch size: the start leaves it out")


def _batches(subject: Subject, own: Own, budget: Budget, _: Iterable[Step]) -> Iterator[Step]:
    for rows in _batch_rows(subject):
        spec = StepSpec(f"batch-{rows}", f"batches of {rows}", "batch", rows, own.compiled.setting)
        yield attempt(spec, lambda: Arm(own.served(subject)), subject, budget)


def _batch_rows(subject: Subject) -> list[int]:
    return thin([size for size in subject.sizes if size > 1])


def _default(subject: Subject, own: Own, budget: Budget, _: Iterable[Step]) -> Iterator[Step]:
    yield from default(subject, own.compiled, budget)


def _best_option(subject: Subject, own: Own, budget: Budget, done: Iterable[Step]) -> Iterator[Step]:
    """The option that gains most on one row, at the best batch size: its hint is judged by that."""
    # Options are compared as compiled: a start would improve them as it does the config's own setting.
    setting_here = own.compiled.setting
    here = find(done, setting_here.key) or configured(done, setting_here)
    many = fastest(batches(done))
    options = [(step, timing) for step, timing in ran(done) if step.spec.kind == "option" and step.spec.setting]
    if here is None or here.timing is None or many is None or not options:
        return
    step, timing = min(options, key=lambda each: each[1].p50_ms)
    setting = step.spec.setting
    if setting is None or not clearly_faster(here.timing, timing, PROMISING):
        return
    rows = many.spec.rows
    spec = StepSpec("option-batch", f"{step.spec.label}, batches of {rows}", "option", rows, setting)
    made: list[Built] = []

    def arm() -> Arm:
        made.append(started(subject, _faithful(subject, setting)))
        return Arm(made[0])

    tried = attempt(spec, arm, subject, budget)
    if made and tried.timing and setting.precision != setting_here.precision and not subject.config.random:
        tried = replace(tried, near=near(subject, made[0], _NEAR_S * budget.step_s))
    yield tried


def _changing(subject: Subject, own: Own, budget: Budget, _: Iterable[Step]) -> Iterator[Step]:
    yield from changing(subject, lambda: own.served(subject), budget)


def _threads(subject: Subject, own: Own, budget: Budget, _: Iterable[Step]) -> Iterator[Step]:
    """If the config asks for more threads than there are cores: the same with one thread per core."""
    if _has_spare_threads(subject):
        spec = StepSpec("threads", f"only {cores()} threads", "option", 1, None)
        yield attempt(spec, lambda: Arm(own.served(subject), threads=cores()), subject, budget)


def _has_spare_threads(subject: Subject) -> bool:
    return subject.device.type == "cpu" and subject.config.threads > cores()


def _on_cpu(subject: Subject, own: Own, budget: Budget, done: Iterable[Step]) -> Iterator[Step]:
    """On a machine with a GPU: the same model on the CPU, so that both prices are measured."""
    many = fastest(batches(done))
    if subject.device.type == "cpu" or many is None:
        return
    here = own.compiled.setting
    setting = ForwardSetting(here.backend, here.precision if here.precision == "bf16" else "fp32", here.memory_format)
    rows, threads = many.spec.rows, subject.config.threads
    spec = StepSpec("cpu", f"on {plural(threads, 'CPU thread')}, batches of {rows}", "mistake", rows, setting)

    def arm() -> Arm:
        return Arm(started(elsewhere, build(elsewhere, setting)))

    try:
        elsewhere = subject_of(load(subject.config, "cpu"))
    except ModelError as error:
        yield Step(spec, skipped=first_line(error))
        return
    yield attempt(spec, arm, elsewhere, budget)


def _recording(subject: Subject, training: bool) -> Arm:
    return Arm(unprepared(subject, training), records_gradients=True, cudnn_autotuning=False)


def _prepared(subject: Subject, setting: ForwardSetting, ready: Built | None, autotuning: bool | None) -> Arm:
    return Arm(ready or _faithful(subject, setting), cudnn_autotuning=autotuning)


def _faithful(subject: Subject, setting: ForwardSetting) -> Built:
    built = build(subject, setting)
    if built.fell_back:
        raise UnfaithfulError(built.note, built.wrong_trace)
    return built
