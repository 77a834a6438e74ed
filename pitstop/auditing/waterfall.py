"""The waterfall: the configured model from train mode, one item at a time, to batches in its configured setting.

Each step is built, run and dropped before the next, so that a large model need not fit into memory ten times.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from models.errors import ModelError

from . import started
from .built import Built, build, four_dimensional, unprepared
from .changing import changing
from .hardware import cores
from .plan import single_rows, thin
from .run import Arm, attempt
from .step import Head, Setting, Step, batches, configured, find, ran, setting_of
from .subject import Subject, load, threads_of
from .timing import clearly_faster

BUDGET_S, QUICK_BUDGET_S = 1.5, 0.3
# An option that gains less on one row is not tried on many.
PROMISING = 1.1
_LEFT_OUT = "compiling takes long: left out by --quick"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each step may take, and whether those that first compile for long are run at all."""

    budget_s: float = BUDGET_S
    quick: bool = False
    announce: Callable[[str], None] = lambda _: None


@dataclass(slots=True)
class Own:
    """The model in the config's setting: as it was compiled, and from its step on as a replica's start leaves it."""

    built: Built


def waterfall(subject: Subject, as_configured: Built, pace: Pace) -> Iterator[Step]:
    """Yield every step, the worst way to run the model first."""
    done: list[Step] = []
    own = Own(as_configured)
    for part in (_careless, _single, _started, _batches, _best_option, _changing, _threads, _on_cpu):
        for step in part(subject, own, pace, tuple(done)):
            done.append(step)
            yield step


def _careless(subject: Subject, _: Own, pace: Pace, __: Iterable[Step]) -> Iterator[Step]:
    for key, training in (("train", True), ("eval", False)):
        head = Head(key, f"{key} mode, gradients", "mistake")
        yield _run(head, partial(_recording, subject, training), subject, pace)


def _single(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    here = setting_of(subject.config)
    for head in single_rows(here, four_dimensional(subject), subject.device.type == "cuda", subject.fixed):
        setting = head.setting
        assert setting is not None
        if pace.quick and setting.backend == "compile" and setting != here:
            yield Step(head, skipped=_LEFT_OUT)
            continue
        search = False if head.key in ("inference_mode", "channels_last") else None
        ready = own.built if setting == here else None
        yield _run(head, partial(_prepared, subject, setting, ready, search), subject, pace)


def _started(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    head = started.head(subject, own.built)
    if head is None:
        return

    def arm() -> Arm:
        own.built = started.started(subject, own.built)
        return Arm(own.built)

    yield _run(head, arm, subject, pace)


def _batches(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    for rows in thin([size for size in subject.sizes if size > 1]):
        head = Head(f"batch-{rows}", f"batches of {rows}", "batch", rows, setting_of(subject.config))
        yield _run(head, lambda: Arm(own.built), subject, pace)


def _best_option(subject: Subject, _: Own, pace: Pace, done: Iterable[Step]) -> Iterator[Step]:
    """The option that gains most on one row, at the best batch size: that is what its hint has to be worth."""
    # Options are compared as compiled: what a start makes of them it would make of the config's own too.
    setting_here = setting_of(subject.config)
    here = find(done, setting_here.key) or configured(done, setting_here)
    many = _best(batches(done))
    options = [(step, timing) for step, timing in ran(done) if step.head.kind == "option"]
    if here is None or here.timing is None or many is None or not options:
        return
    step, timing = min(options, key=lambda each: each[1].p50_ms)
    setting = step.head.setting
    if setting is None or not clearly_faster(here.timing, timing, PROMISING):
        return
    rows = many.head.rows
    head = Head("option-batch", f"{step.head.label}, batches of {rows}", "option", rows, setting)
    yield _run(head, lambda: Arm(started.as_started(subject, _faithful(subject, setting))), subject, pace)


def _changing(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    pace.announce("changing shapes")
    yield from changing(subject, own.built, pace.budget_s)


def _threads(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    """Where the config asks for more threads than there are cores: the same with one thread a core."""
    if subject.device.type == "cpu" and threads_of(subject.config) > cores():
        head = Head("threads", f"only {cores()} threads", "option", 1, None)
        yield _run(head, lambda: Arm(own.built, threads=cores()), subject, pace)


def _on_cpu(subject: Subject, _: Own, pace: Pace, done: Iterable[Step]) -> Iterator[Step]:
    """Beside a GPU: the same model on the CPU, so that its price can be compared and not guessed."""
    many = _best(batches(done))
    if subject.device.type == "cpu" or many is None:
        return
    here = setting_of(subject.config)
    setting = Setting(here.backend, here.precision if here.precision == "bf16" else "fp32", here.memory_format)
    rows, threads = many.head.rows, threads_of(subject.config)
    head = Head("cpu", f"on {threads} CPU thread{'s' * (threads > 1)}, batches of {rows}", "mistake", rows, setting)
    pace.announce(head.label)
    try:
        elsewhere = load(subject.config, "cpu")
    except ModelError as error:
        yield Step(head, skipped=str(error).partition("\n")[0])
        return
    yield attempt(head, lambda: Arm(started.as_started(elsewhere, build(elsewhere, setting))), elsewhere, pace.budget_s)


def _run(head: Head, make: Callable[[], Arm], subject: Subject, pace: Pace) -> Step:
    pace.announce(head.label)
    return attempt(head, make, subject, pace.budget_s)


def _recording(subject: Subject, training: bool) -> Arm:
    return Arm(unprepared(subject, training), records=True, search=False)


def _prepared(subject: Subject, setting: Setting, ready: Built | None, search: bool | None) -> Arm:
    return Arm(ready or _faithful(subject, setting), search=search)


def _faithful(subject: Subject, setting: Setting) -> Built:
    built = build(subject, setting)
    if setting.backend == "torchscript" and built.how == "eager":
        raise ModelError(built.note)
    return built


def _best(steps: list[Step]) -> Step | None:
    return max(steps, key=lambda step: step.items_s or 0, default=None)
