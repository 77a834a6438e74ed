"""A trace, or why it would be wrong.

A trace records one run. If the model's control flow depends on its data, the trace repeats the branch of its example,
and silently gives wrong answers for other inputs. So where the tracer warns of a value that it froze, torch.export
decides: what exports has no branch on data. What is left to freeze are sizes, so a trace is trusted that equals eager
at every warmed shape. Where the tracer warns of nothing, several batch sizes are compared, and eager is watched: a read
that torch does not warn of is judged like the others.
"""

import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
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
from .exporting import Exported, exported
from .refused import Refused
from .run_watch import RunWatch, watched

# A second set of inputs is for shapes that take no longer than this; a start spends so long on all of them.
_QUICK_S, _START_S = 0.1, 60.0
# Of random numbers all may be on one side of a threshold.
_SCALES = (1, 1, 0, 100, 1e6)
# What differs in the text of the same program: the size of each tensor, the line, and torch's numbers of types.
_ASIDE = re.compile(
    r"#.*$|\b(Float|Double|Half|BFloat16|Long|Int|Short|Char|Byte|Bool|Complex\w*)\([^)]*\)|___torch_mangle_\d+\.", re.M
)

# Exports the network, once however often it is asked.
Export = Callable[[], Exported | Refused]


def traced(
    module: nn.Module, given: Network, tolerance: Tolerance, seed: int | None
) -> torch.jit.ScriptModule | list[Refused]:
    """Trace a network; `module` is its graph."""
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            made = _recorded(module, given.probes[0])
    except Exception as error:  # Any failure of the tracer means "not traceable".
        return [Refused("trace", "not_compilable", first_line(error))]
    froze = [str(each.message) for each in heard if issubclass(each.category, torch.jit._trace.TracerWarning)]
    export = cache(partial(exported, given))
    if froze and (wrong := _frozen_data(module, given, export, froze[0].partition(". ")[0])):
        return wrong
    watch, allowed = RunWatch(), max(tolerance.relative, tolerance.disagree)
    off = partial(_off, module, made, given, seed, watch)
    try:
        worst = max(_off_everywhere(off, given, allowed) if froze else map(off, given.probes))
    except TimeoutError:
        return [Refused("trace", "too_long", "to compare a trace with eager at every warmed size")]
    if wrong := _untold(module, given, export, watch, judged=bool(froze)):
        return wrong
    return made if worst <= allowed else [Refused("trace", "deviates", deviation=worst)]


def _recorded(module: nn.Module, inputs: Staged) -> torch.jit.ScriptModule:
    with torch.no_grad():
        made: Any = call(torch.jit.trace, module, tuple(inputs), check_trace=False, strict=False)
    recorded: torch.jit.ScriptModule = made
    return recorded


def wrong_trace(module: nn.Module, given: Network) -> list[Refused]:
    """Return why a trace of a network, whoever made it, would be wrong for other inputs; empty where nothing tells."""
    export = cache(partial(exported, given))
    return _untold(module, given, export, watched(module, given.probes), judged=False)


def _untold(module: nn.Module, given: Network, export: Export, watch: RunWatch, judged: bool) -> list[Refused]:
    """Return why a trace would be wrong that torch did not warn of. `judged`: it did, and all reads are judged."""
    if (unseen := watch.refused("trace")) is not None:
        return [unseen]
    read = None if judged else watch.read
    if read is not None and (wrong := _frozen_data(module, given, export, read.text, sizes=False)):
        return wrong
    if watch.sizes:
        found = export()
        if isinstance(found, Refused) and found.code == "data_branch":
            return [replace(found, way="trace")]
        if _sizes_of_data(module, given):
            return [Refused("trace", "wrong_branch", "a size that follows the data")]
    return []


def _frozen_data(module: nn.Module, given: Network, export: Export, said: str, sizes: bool = True) -> list[Refused]:
    """Return why a trace may hold numbers of its example; empty if it can hold sizes alone, or not even `sizes`."""
    every = given.draw is not None and not given.layout.whole and all(dim.padded for dim in given.layout.dims)
    if every:
        judged = export()
        reason = judged if isinstance(judged, Refused) else judged.frozen
        if reason is not None and reason.code not in ("data_branch", "data_value"):
            return [reason, Refused("trace", "wrong_branch", said)]
        if reason is not None:
            return [replace(reason, way="trace")]
    if read := _read_of_data(module, given):
        return [read]
    return [] if every or not sizes else [Refused("trace", "any_size", said)]


def _sizes_of_data(module: nn.Module, given: Network) -> bool:
    """Whether a trace holds a size that follows the data: then traces of other numbers are other programs."""
    if given.draw is None:
        return False
    shape, programs = given.layout.shapes[0], list[tuple[str, list[torch.Tensor]]]()
    for seed, scale in enumerate(_SCALES):
        drawn = [each * scale if each.is_floating_point() else each for each in given.draw(shape, 400 + seed)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                programs.append(_program_of(_recorded(module, drawn)))
        except Exception:  # What cannot be traced for some numbers is not trusted.
            return True
    text, constants = programs[0]
    return any(text != other or not all(map(_equal, constants, others)) for other, others in programs[1:])


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    alike = one.shape == other.shape and one.dtype == other.dtype
    return alike and torch.equal(*[each.contiguous().reshape(-1).view(torch.uint8) for each in (one, other)])


def _program_of(made: torch.jit.ScriptModule) -> tuple[str, list[torch.Tensor]]:
    """Return a trace's program as text, and the tensors in it, of which the text shows only some."""
    graph: Any = made.inlined_graph
    constants = [
        node
        for node in graph.findAllNodes("prim::Constant")
        if node.hasAttribute("value") and node.kindOf("value") == "t"
    ]
    return _ASIDE.sub("", str(graph)), [node.t("value") for node in constants]


def _read_of_data(module: nn.Module, given: Network) -> Refused | None:
    """Trace again, and return the first number that Python reads out of the data."""
    # Not the trace that is served: while it is watched, torch does not take its fast paths.
    try:
        with warnings.catch_warnings(), DataReads() as reads:
            warnings.simplefilter("ignore")
            _recorded(module, given.probes[0])
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


def _off(
    module: nn.Module, made: torch.jit.ScriptModule, given: Network, seed: int | None, watch: RunWatch, inputs: Staged
) -> float:
    """Return how far a trace is off eager on these inputs, with eager watched."""

    def answer(how: Callable[..., Any], forward: nn.Module) -> list[torch.Tensor]:
        # Copies: a network that works in place changes the question.
        with torch.no_grad(), seeded(seed, inputs[0].device):
            return in_order(how(forward, *[each.clone() for each in inputs]), given.outputs)

    try:
        answered = answer(call, made)
    except RuntimeError:
        return float("inf")
    deviations = [deviation(*pair) for pair in zip(answered, answer(watch.call, module), strict=True)]
    return max([0.0, *(each for each in deviations if each is not None)])
