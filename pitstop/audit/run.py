"""Runs one step: its answers are compared, then it is timed, then the peak of what it allocates is counted.

A step that cannot run, or answers too far off eager, is no failure of the audit: it says why and is left out.
On a GPU memory is the allocator's own count, on the CPU its events are replayed: resident memory would not do, since
allocators keep what they freed, and a second step would seem to need nothing.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch

from models import user_code
from models.errors import first_line
from models.runtime.runner import in_order
from models.startup.cuda_graphs import Graphed

from .built import Built
from .sight import Pace
from .step import Head, Step
from .subject import COMPARED_ROWS, Subject, arithmetic, stage
from .timing import measure

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Arm:
    """How to run a model that is built: with a graph or without, cuDNN's search on or off, on how many threads."""

    built: Built
    records: bool = False
    search: bool | None = None
    threads: int | None = None


def attempt(head: Head, make: Callable[[], Arm], subject: Subject, pace: Pace) -> Step:
    """Make and run one step, unless it is known; whatever stops it becomes the reason that the step gives."""
    if head.key in pace.known:
        return pace.known[head.key]
    pace.announce(head)
    try:
        return _run(head, make(), subject, pace.budget_s)
    except Exception as error:  # Backends raise dozens of unrelated types; each means "not here".
        return Step(head, skipped=first_line(error))


def caller(arm: Arm, inputs: Sequence[torch.Tensor], device: torch.device) -> Callable[[], Any]:
    """Return a call that ends when the answer is there, on a GPU too."""
    forward, records = arm.built.forward, arm.records

    def call() -> Any:
        # Entered anew each time, as the replica does.
        with torch.inference_mode(not records):
            found = user_code.call(forward, *inputs)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return found

    return call


def peak_mib(call: Callable[[], object], device: torch.device) -> float:
    """Return the most that tensors made by one call hold at once, its inputs and weights not counted."""
    return _peak_on_gpu(call, device) if device.type == "cuda" else _peak_on_cpu(call)


def highest(changes: Iterable[int]) -> int:
    """Return the highest running sum of allocations (positive) and releases (negative)."""
    return max(accumulate(changes, initial=0))


def _off(arm: Arm, rows: int, call: Callable[[], Any], subject: Subject) -> tuple[float, bool]:
    """Compare with eager; a step of one row is judged by several rows, one after the other."""
    if rows > 1:
        return subject.off(in_order(call(), subject.outputs), rows, arm.built.tolerance)
    staged = stage(subject.arrays(COMPARED_ROWS), arm.built.layout)
    alone = [[each[row : row + 1] for each in staged] for row in range(COMPARED_ROWS)]
    # Copies: a CUDA graph writes every answer where the one before it was.
    found = [
        [each.clone() for each in in_order(caller(arm, inputs, subject.device)(), subject.outputs)] for inputs in alone
    ]
    joined = [torch.cat(parts).detach() for parts in zip(*found, strict=True)]
    return subject.off(joined, COMPARED_ROWS, arm.built.tolerance)


def _run(head: Head, arm: Arm, subject: Subject, budget_s: float) -> Step:
    built = arm.built
    inputs = stage(subject.arrays(head.rows), built.layout)
    with arithmetic(built.config, subject.fixed if arm.search is None else arm.search, arm.threads):
        call = caller(arm, inputs, subject.device)
        off, within = _off(arm, head.rows, call, subject)
        step = Step(head, deviation=off, how=built.how, note=built.note, wrong_trace=built.wrong_trace)
        if not within:
            limit = built.tolerance.relative
            return replace(step, skipped=f"off eager by {off:.2g}, {limit:g} is allowed")
        timing = measure(call, budget_s)
        if subject.device.type == "cuda":
            # Waiting for a GPU may well be done asleep.
            timing = replace(timing, share=1.0)
        if isinstance(built.forward, Graphed):
            # Its memory was taken when it was captured; a replay takes none.
            return replace(step, timing=timing)
        return replace(step, timing=timing, peak_mib=built.weights_mib + peak_mib(call, subject.device))


def _peak_on_gpu(call: Callable[[], object], device: torch.device) -> float:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / _MIB


def _peak_on_cpu(call: Callable[[], object]) -> float:
    # The profiler reports each start and stop on stderr, in the middle of our table.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        call()
    results = profile.kineto_results
    if results is None:
        return 0.0
    events = [event for event in results.events() if event.name() == "[memory]"]
    return highest(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())) / _MIB
