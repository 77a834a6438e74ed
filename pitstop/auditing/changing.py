"""What it costs to feed shapes that nobody warmed: the same requests, each a new shape, and padded to a warmed one.

Both are counted per item, since the shapes differ in their rows. A new shape is met once only, so it is timed once.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

from models.padding import round_up
from models.signature import Shape

from .built import Built
from .pace import Pace
from .plan import thin
from .reason import reason
from .run import Arm, caller
from .step import NEW, PADDED, Head, Step
from .subject import Subject, arithmetic, stage
from .timing import WARM_RUNS, summarise

# Past this many budgets no further shape is tried: torch.compile may take half a minute for each.
_PATIENCE = 5


_HEADS = (Head(PADDED, "sizes vary, padded to warmed", "batch"), Head(NEW, "sizes vary, each one new", "mistake"))


def changes(subject: Subject) -> bool:
    """Whether there are shapes that nobody warmed."""
    return bool(unseen(subject.sizes, subject.config.lengths or ())) and subject.config.max_rows > 1


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
        yield from (Step(head, skipped=reason(error)) for head in heads)


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
    for _ in range(warm_runs):
        call()
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000
