"""A trace, or why it would be wrong.

A trace records one run. If the model's control flow depends on its data, the trace repeats the branch of its example,
and silently gives wrong answers for other inputs. So where the tracer warns of a value that it froze, torch.export
decides: what exports has no branch on data. What is left to freeze are sizes, so a trace is trusted that equals eager
at every warmed shape. Where the tracer warns of nothing, several batch sizes are compared.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from ..errors import first_line
from ..parity import Tolerance, deviation
from ..runtime.runner import in_order
from ..runtime.seeding import seeded
from ..signature import Shape
from ..user_code import call
from .build import Network, Staged
from .data_reads import DataReads
from .exporting import exported
from .refused import Refused

# A second set of inputs is for shapes that take no longer than this; a start spends so long on all of them.
_QUICK_S, _START_S = 0.1, 60.0


def traced(
    module: nn.Module, given: Network, tolerance: Tolerance, seed: int | None
) -> torch.jit.ScriptModule | list[Refused]:
    """Trace a network; `module` is its graph."""
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            made = _recorded(module, given)
    except Exception as error:  # Any failure of the tracer means "not traceable".
        return [Refused("trace", "not_compilable", first_line(error))]
    froze = [str(each.message) for each in heard if issubclass(each.category, torch.jit._trace.TracerWarning)]
    if froze and (wrong := _frozen_data(module, given, froze[0].partition(". ")[0])):
        return wrong
    off, allowed = partial(_off, module, made, given, seed), max(tolerance.relative, tolerance.disagree)
    try:
        worst = max(_off_everywhere(off, given, allowed) if froze else map(off, given.probes))
    except TimeoutError:
        return [Refused("trace", "too_long", "to compare a trace with eager at every warmed size")]
    return made if worst <= allowed else [Refused("trace", "deviates", deviation=worst)]


def _recorded(module: nn.Module, given: Network) -> torch.jit.ScriptModule:
    with torch.no_grad():
        made: Any = call(torch.jit.trace, module, tuple(given.probes[0]), check_trace=False, strict=False)
    recorded: torch.jit.ScriptModule = made
    return recorded


def _frozen_data(module: nn.Module, given: Network, said: str) -> list[Refused]:
    """Return why a trace that torch warns of may hold numbers of its example; empty if it can hold sizes alone."""
    every = given.draw is not None and not given.layout.whole and all(dim.padded for dim in given.layout.dims)
    if every:
        judged = exported(given)
        reason = judged if isinstance(judged, Refused) else judged.frozen
        if reason is not None and reason.code not in ("data_branch", "data_value"):
            return [reason, Refused("trace", "wrong_branch", said)]
        if reason is not None:
            return [replace(reason, way="trace")]
    if read := _read_of_data(module, given):
        return [read]
    return [] if every else [Refused("trace", "any_size", said)]


def _read_of_data(module: nn.Module, given: Network) -> Refused | None:
    """Trace again, and return the first number that Python reads out of the data."""
    # Not the trace that is served: while it is watched, torch does not take its fast paths.
    try:
        with warnings.catch_warnings(), DataReads() as reads:
            warnings.simplefilter("ignore")
            _recorded(module, given)
    except Exception as error:  # What cannot be watched is not trusted.
        return Refused("trace", "not_compilable", first_line(error))
    if reads.first is None:
        return None
    line, code = reads.first, reads.code
    return Refused("trace", code, "", 0.0, line.file, line.line, line.text)


def _off_everywhere(off: Callable[[Staged], float], given: Network, allowed: float) -> Iterator[float]:
    """Yield how far a trace is off eager at each warmed shape, the smallest first, to the first that is too far.

    Raises:
        TimeoutError: a start cannot wait for all of them.
    """
    assert given.draw is not None
    began, quick = time.monotonic(), list[Shape]()
    for seed, shapes in ((200, given.layout.shapes[::-1]), (300, quick)):
        for number, shape in enumerate(shapes):
            since = time.monotonic()
            if since - began > _START_S and not given.minutes:
                raise TimeoutError
            yield (worst := off(given.draw(shape, seed + number)))
            if worst > allowed:
                return
            if time.monotonic() - since < _QUICK_S and shapes is not quick:
                quick.append(shape)


def _off(module: nn.Module, made: torch.jit.ScriptModule, given: Network, seed: int | None, inputs: Staged) -> float:
    """Return how far a trace is off eager on these inputs."""

    def answer(forward: nn.Module) -> list[torch.Tensor]:
        # Copies: a network that works in place changes the question.
        with torch.no_grad(), seeded(seed, inputs[0].device):
            return in_order(call(forward, *[each.clone() for each in inputs]), given.outputs)

    try:
        answered = answer(made)
    except RuntimeError:
        return float("inf")
    deviations = [deviation(*pair) for pair in zip(answered, answer(module), strict=True)]
    return max([0.0, *(each for each in deviations if each is not None)])
