"""Steps beside the configured setting: shapes that nobody warmed, and the default backend where it was forgone.

Shapes are counted per item, since they differ in their rows. A new shape is met once only, so it is timed once. The
default backend is run as its start leaves it, in batches too.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from math import inf

from configs.backends import BACKENDS, DEFAULT
from models.compile.refused import sentences
from models.errors import ModelError, first_line
from models.runtime.padding import round_up
from models.signature import Shape

from ..measure.timing import times_ms
from .built import Built, build, started
from .plan import thin
from .run import Arm, attempt, caller
from .sight import Pace
from .step import DEFAULT_BATCH, DEFAULT_ONE, NEW, PADDED, ForwardSetting, Head, Step, forgone, setting_of
from .subject import Subject, arithmetic, stage
from .timing import WARM_RUNS, summarise

# Past this many budgets no further shape is tried: torch.compile may take half a minute for each.
_PATIENCE = 5
_HEADS = (Head(PADDED, "sizes vary, padded to warmed", "batch"), Head(NEW, "sizes vary, each one new", "mistake"))


def changes(subject: Subject) -> bool:
    """Whether there are shapes that nobody warmed."""
    return bool(unseen(subject.sizes, subject.config.lengths or ())) and subject.config.max_batch_size > 1


def changing(subject: Subject, serve: Callable[[], Built], pace: Pace) -> Iterator[Step]:
    """Yield the padded and the unpadded way; nothing where every shape is a warmed one."""
    if not changes(subject):
        return
    heads, shapes = _HEADS, unseen(subject.sizes, subject.config.lengths or ())
    if NEW in pace.known:
        # Where the process ended in it, nothing is known of the padded way either.
        ended = pace.known[NEW]
        yield from (pace.known.get(head.key, replace(ended, head=head)) for head in heads)
        return
    pace.announce(heads[1])
    try:
        built = serve()
        times = _times(subject, built, shapes, pace.budget_s)
        yield from (Step(head, summarise(each), how=built.how) for head, each in zip(heads, times, strict=True))
    except Exception as error:  # As in run.attempt: the model may refuse a shape in any way it likes.
        yield from (Step(head, skipped=first_line(error)) for head in heads)


def default(subject: Subject, how: str, pace: Pace) -> Iterator[Step]:
    """Yield one row, and the best batch size; nothing where the config has what is the default."""
    lines = forgone(subject.config, how)
    if not lines:
        return
    here = setting_of(subject.config)
    setting = ForwardSetting(DEFAULT, here.precision, here.memory_format)
    made: list[Built] = []

    def arm() -> Arm:
        if not made:
            made.append(_opened(subject, setting, lines))
        return Arm(made[0])

    one = Head(DEFAULT_ONE, "the default backend", "option", 1, setting)
    yield attempt(one, arm, subject, pace)
    # Known beforehand where the process ended in this step.
    if DEFAULT_BATCH in pace.known:
        yield pace.known[DEFAULT_BATCH]
    elif made and made[0].fastest_rows > 1:
        rows = made[0].fastest_rows
        yield attempt(
            Head(DEFAULT_BATCH, f"the default backend, batches of {rows}", "option", rows, setting), arm, subject, pace
        )


def unseen(sizes: tuple[int, ...], lengths: tuple[int, ...]) -> list[Shape]:
    """Return shapes between the warmed ones: lengths half-way where a size is open, else row counts."""
    if len(lengths) > 1:
        return [(1, (low + high) // 2) for low, high in pairwise(lengths) if high - low > 1]
    rows = [count for count in range(2, sizes[-1]) if count not in sizes]
    return [(count, lengths[0] if lengths else 0) for count in thin(rows)]


def _times(subject: Subject, built: Built, shapes: list[Shape], budget_s: float) -> tuple[list[float], list[float]]:
    """Return the ms per item of each shape, padded and new."""
    padded: list[float] = []
    new: list[float] = []
    began = time.perf_counter()
    with arithmetic(built.config, subject.fixed):
        for rows, length in shapes:
            held = (round_up(rows, subject.sizes), round_up(length, built.layout.lengths))
            new.append(_ms(subject, built, (rows, length), 0) / rows)
            padded.append(_ms(subject, built, held, WARM_RUNS) / rows)
            if time.perf_counter() - began > _PATIENCE * budget_s:
                break
    return padded, new


def _ms(subject: Subject, built: Built, shape: Shape, warm_runs: int) -> float:
    call = caller(Arm(built), stage(subject.arrays(*shape), built.layout), subject.device)
    return times_ms(call, inf, 1, most_runs=warm_runs + 1)[-1]


def _opened(subject: Subject, setting: ForwardSetting, lines: dict[str, str]) -> Built:
    built = build(subject, setting, lines)
    if built.fell_back:
        raise ModelError(f"no {BACKENDS[DEFAULT].title}: {sentences(built.refused)}")
    return started(subject, built)
