"""Runs one step: compares its answers, times it, and counts the peak of its allocations.

A step that cannot run, or whose answers deviate too far from eager, does not fail the audit: it is left out, with the
reason. On a GPU memory is the allocator's own count; on the CPU the allocator's events are added up. Resident memory
would not do: allocators keep what they freed, so a second step would seem to need nothing.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch

from models import user_code
from models.errors import ModelError, first_line
from models.runtime.runner import in_order
from models.startup.cuda_graphs import Graphed

from .audit_result import Budget
from .built import Built
from .step import Step, StepSpec
from .subject import COMPARED_ROWS, Subject, arithmetic, stage
from .timing import measure

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Arm:
    """How to run a built model; `cudnn_autotuning` and `threads` are None for what a replica would use."""

    built: Built
    records_gradients: bool = False
    cudnn_autotuning: bool | None = None
    threads: int | None = None


class UnfaithfulError(ModelError):
    """A backend left the model eager; `wrong_trace` is as in Step."""

    def __init__(self, text: str, wrong_trace: str = "") -> None:
        super().__init__(text)
        self.wrong_trace = wrong_trace


def attempt(spec: StepSpec, make: Callable[[], Arm], subject: Subject, budget: Budget) -> Step:
    """Make and run one step, unless it is known; any error becomes the reason why the step was skipped."""
    if spec.key in budget.known:
        return budget.known[spec.key]
    budget.announce(spec)
    try:
        return _run(spec, make(), subject, budget.step_s)
    except UnfaithfulError as error:
        return Step(spec, skipped=error.what, wrong_trace=error.wrong_trace)
    except Exception as error:  # Backends raise dozens of unrelated types.
        return Step(spec, skipped=first_line(error))


def caller(arm: Arm, inputs: Sequence[torch.Tensor], device: torch.device) -> Callable[[], Any]:
    """Return a call that ends when the answer is there, on a GPU too."""
    forward, records_gradients = arm.built.forward, arm.records_gradients

    def call() -> Any:
        # Entered for each call, as the replica does.
        with torch.inference_mode(not records_gradients):
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


def _compared(arm: Arm, rows: int, call: Callable[[], Any], subject: Subject) -> tuple[float | None, bool]:
    """Compare with eager; a step of one row is judged by several rows, one after the other.

    Nothing is compared if the model is to draw random numbers: a batch draws others than its rows alone.
    """
    if subject.config.random:
        in_order(call(), subject.outputs)
        return None, True
    if rows > 1 or subject.config.whole:
        return subject.compared(in_order(call(), subject.outputs), rows, arm.built.tolerance)
    staged = stage(subject.arrays(COMPARED_ROWS), arm.built.layout)
    alone = [[each[row : row + 1] for each in staged] for row in range(COMPARED_ROWS)]
    # Copies: a CUDA graph writes every answer where the one before it was.
    found = [
        [each.clone() for each in in_order(caller(arm, inputs, subject.device)(), subject.outputs)] for inputs in alone
    ]
    joined = [torch.cat(parts).detach() for parts in zip(*found, strict=True)]
    return subject.compared(joined, COMPARED_ROWS, arm.built.tolerance)


def _run(spec: StepSpec, arm: Arm, subject: Subject, budget_s: float) -> Step:
    built = arm.built
    inputs = stage(subject.arrays(spec.rows), built.layout)
    with arithmetic(built.config, subject.fixed if arm.cudnn_autotuning is None else arm.cudnn_autotuning, arm.threads):
        call = caller(arm, inputs, subject.device)
        deviation, within = _compared(arm, spec.rows, call, subject)
        step = Step(spec, deviation=deviation, how=built.how, note=built.note, wrong_trace=built.wrong_trace)
        if not within:
            limit = built.tolerance.relative
            return replace(step, skipped=f"off eager by {deviation:.2g}, {limit:g} is allowed")
        timing = measure(call, budget_s)
        if subject.device.type == "cuda":
            # The CPU may sleep while the GPU works, so its share says nothing.
            timing = replace(timing, share=1.0)
        if isinstance(built.forward, Graphed):
            # Its memory was allocated at the capture; a replay allocates none.
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
    # Else the profiler reports each start and stop on stderr, in the middle of our table.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        call()
    results = profile.kineto_results
    if results is None:
        return 0.0
    events = [event for event in results.events() if event.name() == "[memory]"]
    return highest(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())) / _MIB
