"""Runs a failed batch again in smaller ones, so that only the guilty request fails.

A batch that ran out of memory is halved until it fits, and later batches stay that small; if one row does not fit even
alone, only that row fails and later batches keep their size. Rows that belong together are not halved: their request
fails. After any other error every request runs by itself.
"""

from collections import deque

from models.runtime.dims import Cut
from models.runtime.memory import is_out_of_memory, release
from models.runtime.nan_check import NonfiniteRows, nonfinite_rows

from ..core.errors import InferenceFailed, NotFinite, OutOfMemory, OutOfMemoryTogether
from .answers import split
from .memory_limit import MemoryLimit
from .queue import Answer, Part
from .runner_protocol import RunnerProtocol, stage

Answers = list[tuple[Part, Answer | Exception]]


def isolate_failure(runner: RunnerProtocol, parts: list[Part], error: Exception, memory_limit: MemoryLimit) -> Answers:
    """Answer the parts of a batch that failed with `error`."""
    if not is_out_of_memory(error):
        if len(parts) == 1:
            return [(parts[0], InferenceFailed(error))]
        return _each(runner, parts, memory_limit)
    memory_limit.misses += 1
    release(error)
    if parts[0].item.whole:
        alone = parts[0].item.rows == 1
        return [(parts[0], OutOfMemory(error) if alone else OutOfMemoryTogether(error))]
    padded, _ = runner.shape([part.arrays for part in parts])
    rows = memory_limit.below(padded)
    if rows is not None:
        return _smaller(runner, parts, padded, rows, memory_limit)
    if len(parts) == 1:
        return [(parts[0], OutOfMemory(error))]
    return _each(runner, parts, memory_limit)


def split_finite(
    parts: list[Part], outputs: Answer, nonfinite: NonfiniteRows | None, cut: Cut | None = None
) -> Answers:
    """Give every part its own rows, or NotFinite if one of them is in `nonfinite`."""
    own = split(parts, outputs, cut)
    if nonfinite is None:
        return list(own)
    answers: Answers = []
    row = 0
    for part, answer in own:
        stop = row + part.stop - part.start
        # In the padding there may be any number.
        wrong = nonfinite[row:stop] if cut is None else nonfinite_rows(answer)
        answers.append((part, NotFinite() if wrong.any() else answer))
        row = stop
    return answers


def _each(runner: RunnerProtocol, parts: list[Part], memory_limit: MemoryLimit) -> Answers:
    return [answer for part in parts for answer in _attempt(runner, [part], memory_limit)]


def _attempt(runner: RunnerProtocol, parts: list[Part], memory_limit: MemoryLimit) -> Answers:
    try:
        batch = runner.launch(stage(runner, parts))
        outputs = runner.finish(batch)
        return split_finite(parts, outputs, batch.nonfinite, runner.cut)
    except Exception as error:  # The model may raise anything; only the guilty request may suffer.
        return isolate_failure(runner, parts, error, memory_limit)


def _smaller(runner: RunnerProtocol, parts: list[Part], failed: int, rows: int, memory_limit: MemoryLimit) -> Answers:
    answers: Answers = []
    left = deque(parts)
    while left:
        # A smaller limit that one piece finds applies to the next.
        answers += _attempt(runner, _cut(left, memory_limit.within(rows)), memory_limit)
    if not any(isinstance(answer, OutOfMemory) for _, answer in answers):
        memory_limit.keep_to(rows, failed)
    return answers


def _cut(left: deque[Part], rows: int) -> list[Part]:
    """Take at most `rows` rows off the left; a part may be cut in two, since its item joins its answers in order."""
    taken = []
    while left and rows:
        part = left.popleft()
        stop = min(part.stop, part.start + rows)
        taken.append(Part(part.item, part.start, stop))
        rows -= stop - part.start
        if stop < part.stop:
            left.appendleft(Part(part.item, stop, part.stop))
    return taken
