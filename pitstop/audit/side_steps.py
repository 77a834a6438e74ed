"""Steps beside the configured setting: shapes that were not warmed, and the default if the config has a backend.

Times are per item, since shapes differ in their rows. A shape is new only once, so it is timed once. The default is
`backend: auto`: what a start then chooses is run as it leaves it, in batches too.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf

from models.errors import first_line
from models.runtime.dims import Dim, all_sizes, dims_in
from models.runtime.padding import round_up
from models.signature import Shape, Sizes

from ..measure.timing import times_ms
from .audit_result import Budget
from .built import Built, as_served, build
from .chosen import chosen_by, opened
from .plan import thin
from .run import Arm, attempt, caller
from .step import DEFAULT_BATCH, DEFAULT_ONE, NEW, PADDED, Step, StepSpec, forgone
from .subject import Subject, arithmetic, stage
from .timing import WARM_RUNS, summarise

# Past this many budgets no further shape is tried: torch.compile may take half a minute for each.
_PATIENCE = 5
_SPECS = (
    StepSpec(PADDED, "sizes vary, padded to warmed", "batch"),
    StepSpec(NEW, "sizes vary, each one new", "mistake"),
)


def changes(subject: Subject) -> bool:
    """Whether there are shapes that were not warmed."""
    config, dims = subject.config, dims_in(subject.config.open_dims)
    if config.whole and not _between(dims):
        return False  # A number of rows is not padded.
    return bool(unseen(subject.sizes, dims)) and config.max_batch_size > 1


def changing(subject: Subject, serve: Callable[[], Built], budget: Budget) -> Iterator[Step]:
    """Yield the padded and the unpadded step; nothing if every shape is warmed."""
    if not changes(subject):
        return
    specs, shapes = _SPECS, unseen(subject.sizes, dims_in(subject.config.open_dims))
    if NEW in budget.known:
        # If it ended the process, nothing is known of the padded step either.
        ended = budget.known[NEW]
        yield from (budget.known.get(spec.key, replace(ended, spec=spec)) for spec in specs)
        return
    budget.announce(specs[1])
    try:
        built = serve()
        times = _times(subject, built, shapes, budget.step_s)
        yield from (Step(spec, summarise(each), how=built.how) for spec, each in zip(specs, times, strict=True))
    except Exception as error:  # As in run.attempt: the model may refuse a shape in any way it likes.
        yield from (Step(spec, skipped=first_line(error)) for spec in specs)


def default(subject: Subject, own: Built, budget: Budget) -> Iterator[Step]:
    """Yield one row, and the best batch size; nothing if the config has the default."""
    lines = forgone(subject.asked, own.how)
    if not lines:
        return
    made: list[Built] = []

    def arm() -> Arm:
        if not made:
            made.append(_opened(subject, lines))
        return Arm(made[0])

    one = StepSpec(DEFAULT_ONE, "the default", "option")
    yield attempt(one, arm, subject, budget)
    # Known already if this step ended the process before.
    if DEFAULT_BATCH in budget.known:
        yield budget.known[DEFAULT_BATCH]
    elif made and made[0].fastest_rows > 1:
        rows = made[0].fastest_rows
        yield attempt(
            StepSpec(DEFAULT_BATCH, f"the default, batches of {rows}", "option", rows),
            arm,
            subject,
            budget,
        )


def unseen(batch_sizes: tuple[int, ...], dims: Sequence[Dim]) -> list[Shape]:
    """Return shapes between the warmed ones: half-way where a dimension is open, else numbers of rows."""
    if between := _between(dims):
        return [(1, sizes) for sizes in between]
    rows = [count for count in range(2, batch_sizes[-1]) if count not in batch_sizes]
    return [(count, all_sizes(dims)[0]) for count in thin(rows)]


def _between(dims: Sequence[Dim]) -> list[Sizes]:
    """Return sizes half-way between those that one dimension is padded to, the others at their smallest."""
    return [
        tuple((low + high) // 2 if each is dim else each.sizes[0] for each in dims)
        for dim in dims
        if dim.padded
        for low, high in pairwise(dim.sizes)
        if high - low > 1
    ]


def _times(subject: Subject, built: Built, shapes: list[Shape], budget_s: float) -> tuple[list[float], list[float]]:
    """Return the ms per item of each shape, padded and new."""
    padded: list[float] = []
    new: list[float] = []
    began = time.perf_counter()
    with arithmetic(built.config, subject.fixed):
        for rows, sizes in shapes:
            held = tuple(dim.holds(size) for dim, size in zip(built.layout.dims, sizes, strict=True))
            new.append(_ms(subject, built, (rows, sizes), 0) / rows)
            padded.append(_ms(subject, built, (round_up(rows, subject.sizes), held), WARM_RUNS) / rows)
            if time.perf_counter() - began > _PATIENCE * budget_s:
                break
    return padded, new


def _ms(subject: Subject, built: Built, shape: Shape, warm_runs: int) -> float:
    call = caller(Arm(built), stage(subject.arrays(*shape), built.layout), subject.device)
    return times_ms(call, inf, 1, most_runs=warm_runs + 1)[-1]


def _opened(subject: Subject, lines: dict[str, str]) -> Built:
    served = opened(subject, lines)
    return as_served(subject, build(subject, chosen_by(subject, served), lines), served)
