"""One batch through the device, whatever happens, and where its time went.

When a forward fails, failure_isolation.py runs its requests again in smaller batches, and only the guilty one fails.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from models.runtime.batch import Batch
from models.signature import Shape

from ..core.errors import InferenceFailed
from .failure_isolation import Answers, isolate_failure, split_finite
from .memory_limit import MemoryLimit
from .queue import Answer, Part
from .runner_protocol import RunnerProtocol


@dataclass(slots=True)
class BatchResult:
    """What one forward did. Times are in seconds, also of steps that overlap other forwards.

    `broken` is the error if the device's threads themselves failed: nothing that waits is answered any more.
    `waited_s` is the longest wait of its rows, `row_wait_s` the sum over all rows. `idle_s` is how long the device was
    idle before this forward while its first row waited, `busy_s` the time from when it could have begun to its end.
    `request_s` has the time from arrival to answer of each request that this forward has completed.
    """

    answers: list[tuple[Part, Answer | Exception]]
    rows: int
    shape: Shape
    waited_s: float = 0
    row_wait_s: float = 0
    idle_s: float = 0
    busy_s: float = 0
    collate_s: float = 0
    copy_s: float = 0
    forward_s: float = 0
    fetch_s: float = 0
    split_s: float = 0
    ended_s: float = 0
    request_s: list[float] = field(default_factory=list)
    broken: Exception | None = None


def finish_batch(
    runner: RunnerProtocol,
    parts: list[Part],
    launched: Callable[[], Batch],
    free_since_s: float,
    memory_limit: MemoryLimit,
) -> BatchResult:
    """Wait for a batch, and return the answers of all its parts.

    Args:
        runner: the model.
        parts: the rows of the batch.
        launched: returns the batch, launched.
        free_since_s: when the forward before this one ended, on time.perf_counter's clock.
        memory_limit: how many rows fit into the device's memory; lowered when a forward runs out of it.
    """
    try:
        batch = launched()
        outputs = runner.finish(batch)
        began = time.perf_counter()
        ran = BatchResult(split_finite(parts, outputs, batch.nonfinite, runner.cut), batch.rows, batch.shape)
        ran.split_s = time.perf_counter() - began
        ran.collate_s, ran.copy_s = batch.collate_s, batch.copy_s
        ran.ended_s, ran.fetch_s = batch.launched_s + batch.forward_s, batch.fetch_s
        # A batch that is launched behind another begins when that one ends.
        ran.forward_s = ran.ended_s - max(batch.launched_s, free_since_s)
        _waits(ran, batch.launched_s, free_since_s)
    except Exception as error:  # The model may raise anything; only the guilty request may suffer.
        began = time.perf_counter()
        rows = sum(part.stop - part.start for part in parts)
        ran = BatchResult(_answers(runner, parts, error, memory_limit), rows, (rows, ()))
        ran.ended_s = time.perf_counter()
        ran.forward_s = ran.ended_s - began
    return ran


def _answers(runner: RunnerProtocol, parts: list[Part], error: Exception, memory_limit: MemoryLimit) -> Answers:
    try:
        return isolate_failure(runner, parts, error, memory_limit)
    except Exception as again:  # Not foreseen: every request must still get an answer.
        return [(part, InferenceFailed(again)) for part in parts]


def _waits(ran: BatchResult, launched_s: float, free_since_s: float) -> None:
    first = launched_s
    for part, _ in ran.answers:
        arrived = part.item.arrived_s
        ran.row_wait_s += (launched_s - arrived) * (part.stop - part.start)
        first = min(first, arrived)
    ran.waited_s = launched_s - first
    if first < free_since_s:
        ran.idle_s = max(0.0, launched_s - free_since_s)
    ran.busy_s = ran.ended_s - max(first, free_since_s)
