"""The waterfall: the configured model from train mode, one item at a time, to batches in its configured setting.

Each step is built, run and dropped before the next, so that a large model need not fit into memory ten times.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from configs.backends import BACKENDS
from models.errors import ModelError, first_line

from ..measure.hardware import cores
from ..report.numbers import plural
from .built import Built, build, four_dimensional, started, started_head, started_label, unprepared
from .finding import refusal_text
from .plan import single_rows, thin
from .run import Arm, attempt
from .side_steps import changes, changing, default
from .sight import Pace
from .step import ForwardSetting, Head, Step, batches, configured, fastest, find, forgone, ran, setting_of
from .subject import Subject, load, subject_of
from .timing import clearly_faster

# An option that gains less on one row is not tried on many.
PROMISING = 1.1
_LEFT_OUT = "compiling takes long: left out by --quick"


@dataclass(slots=True)
class Own:
    """The model in the config's setting: as it was compiled, and as a start leaves it, once that was asked for."""

    compiled: Built
    started: Built | None = None

    def served(self, subject: Subject) -> Built:
        """Return what a replica runs."""
        if self.started is None:
            self.started = started(subject, self.compiled)
        return self.started


def waterfall(subject: Subject, as_configured: Built, pace: Pace) -> Iterator[Step]:
    """Yield every step, the worst way to run the model first."""
    done: list[Step] = []
    own = Own(as_configured)
    for part in (_careless, _single, _started, _batches, _best_option, _default, _changing, _threads, _on_cpu):
        for step in part(subject, own, pace, tuple(done)):
            done.append(step)
            yield step


def planned(subject: Subject, as_configured: Built) -> int:
    """Return how many steps there will be, but for those that hang on what others find."""
    return (
        2
        + len(_single_heads(subject))
        + (started_label(subject, as_configured) is not None)
        + len(_batch_rows(subject))
        + 2 * bool(forgone(subject.config, as_configured.how))
        + 2 * changes(subject)
        + _has_spare_threads(subject)
        + (subject.device.type == "cuda")
    )


def _careless(subject: Subject, _: Own, pace: Pace, __: Iterable[Step]) -> Iterator[Step]:
    for key, training in (("train", True), ("eval", False)):
        head = Head(key, f"{key} mode, gradients", "mistake")
        yield attempt(head, partial(_recording, subject, training), subject, pace)


def _single(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    here = setting_of(subject.config)
    for head in _single_heads(subject):
        setting = head.setting
        assert setting is not None
        if pace.quick and BACKENDS[setting.backend].slow and setting != here:
            yield Step(head, skipped=_LEFT_OUT)
            continue
        search = False if head.key in ("inference_mode", "channels_last") else None
        ready = own.compiled if setting == here else None
        yield attempt(head, partial(_prepared, subject, setting, ready, search), subject, pace)


def _single_heads(subject: Subject) -> list[Head]:
    gpu = subject.device.type == "cuda"
    return single_rows(setting_of(subject.config), four_dimensional(subject), gpu, subject.fixed)


def _started(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    """The start itself: whatever a replica checks is checked, and what it would run is measured."""
    head = started_head(subject, own.compiled)
    if head.key in pace.known:
        known = pace.known[head.key]
        # What was refused, or ended the process, is not opened again.
        own.started = own.compiled if known.skipped else None
        yield known
        return
    pace.announce(head)
    try:
        found = own.served(subject)
    except Exception as error:  # Whatever it raises, a replica would not start.
        own.started = own.compiled
        yield Step(head, skipped="a start refuses this config", refusal=refusal_text(error))
        return
    if found.forward is not own.compiled.forward:
        yield attempt(head, lambda: Arm(found), subject, pace)
    elif started_label(subject, own.compiled):
        yield Step(head, skipped="no faster here, at any batch size: the start leaves it out")


def _batches(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    for rows in _batch_rows(subject):
        head = Head(f"batch-{rows}", f"batches of {rows}", "batch", rows, setting_of(subject.config))
        yield attempt(head, lambda: Arm(own.served(subject)), subject, pace)


def _batch_rows(subject: Subject) -> list[int]:
    return thin([size for size in subject.sizes if size > 1])


def _default(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    yield from default(subject, own.compiled.how, pace)


def _best_option(subject: Subject, _: Own, pace: Pace, done: Iterable[Step]) -> Iterator[Step]:
    """The option that gains most on one row, at the best batch size: that is what its hint has to be worth."""
    # Options are compared as compiled: what a start makes of them it would make of the config's own too.
    setting_here = setting_of(subject.config)
    here = find(done, setting_here.key) or configured(done, setting_here)
    many = fastest(batches(done))
    options = [(step, timing) for step, timing in ran(done) if step.head.kind == "option" and step.head.setting]
    if here is None or here.timing is None or many is None or not options:
        return
    step, timing = min(options, key=lambda each: each[1].p50_ms)
    setting = step.head.setting
    if setting is None or not clearly_faster(here.timing, timing, PROMISING):
        return
    rows = many.head.rows
    head = Head("option-batch", f"{step.head.label}, batches of {rows}", "option", rows, setting)
    yield attempt(head, lambda: Arm(started(subject, _faithful(subject, setting))), subject, pace)


def _changing(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    yield from changing(subject, lambda: own.served(subject), pace)


def _threads(subject: Subject, own: Own, pace: Pace, _: Iterable[Step]) -> Iterator[Step]:
    """Where the config asks for more threads than there are cores: the same with one thread a core."""
    if _has_spare_threads(subject):
        head = Head("threads", f"only {cores()} threads", "option", 1, None)
        yield attempt(head, lambda: Arm(own.served(subject), threads=cores()), subject, pace)


def _has_spare_threads(subject: Subject) -> bool:
    return subject.device.type == "cpu" and subject.config.threads > cores()


def _on_cpu(subject: Subject, _: Own, pace: Pace, done: Iterable[Step]) -> Iterator[Step]:
    """Beside a GPU: the same model on the CPU, so that its price can be compared and not guessed."""
    many = fastest(batches(done))
    if subject.device.type == "cpu" or many is None:
        return
    here = setting_of(subject.config)
    setting = ForwardSetting(here.backend, here.precision if here.precision == "bf16" else "fp32", here.memory_format)
    rows, threads = many.head.rows, subject.config.threads
    head = Head("cpu", f"on {plural(threads, 'CPU thread')}, batches of {rows}", "mistake", rows, setting)

    def arm() -> Arm:
        return Arm(started(elsewhere, build(elsewhere, setting)))

    try:
        elsewhere = subject_of(load(subject.config, "cpu"))
    except ModelError as error:
        yield Step(head, skipped=first_line(error))
        return
    yield attempt(head, arm, elsewhere, pace)


def _recording(subject: Subject, training: bool) -> Arm:
    return Arm(unprepared(subject, training), records=True, search=False)


def _prepared(subject: Subject, setting: ForwardSetting, ready: Built | None, search: bool | None) -> Arm:
    return Arm(ready or _faithful(subject, setting), search=search)


def _faithful(subject: Subject, setting: ForwardSetting) -> Built:
    built = build(subject, setting)
    if built.fell_back:
        raise ModelError(built.note)
    return built
