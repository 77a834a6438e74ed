"""TorchScript that answers as eager does: scripted or traced, and traced only if the trace answers as eager does.

A trace records one run. If the model's control flow depends on its data, the trace repeats the branch of its example,
and silently gives wrong answers for other inputs. So where the tracer warns of a value that it froze, torch.export
decides: what exports has no branch on data, and what is left to freeze are sizes, so a trace is trusted that equals
eager at every warmed shape. One that no warning was of is compared at several batch sizes. Else the model is scripted
or, if that fails, served eagerly, with the reason kept.
"""

import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from configs.backends import EAGER
from configs.schema import ModelConfig

from ..errors import first_line
from ..parity import TOLERANCES, Tolerance, deviation, tolerance_for
from ..runtime.output_paths import INNER, ReadOutputs, as_graph, returns_list_of_rows
from ..runtime.runner import in_order
from ..runtime.seeding import seed_of, seeded
from ..signature import Shape
from ..user_code import call
from . import store
from .build import Compiled, Network, Staged, Uncompiled
from .data_reads import DataReads
from .exporting import exported
from .refused import Refused, sentences
from .saving import save

_NAME = "torchscript"
_MADE = "made.json"
_WAYS = {"auto": ("script", "trace"), "script": ("script",), "trace": ("trace", "script")}
# A second set of inputs is for shapes that take no longer than this; a start spends so long on all of them.
_QUICK_S, _START_S = 0.1, 60.0
_log = logging.getLogger("pitstop")


def build(given: Uncompiled) -> Compiled:
    """Compile, or load what an earlier start compiled from the same model."""
    module, layout, config = given.module, given.layout, given.config
    if config.source.exported_program is not None:
        return Compiled(module, EAGER, (Refused("script", "already_a_graph"),))
    if loaded_script(module) is not None:
        # Only as a whole can it be frozen, and packed for a CPU.
        whole = _script(as_graph(module))
        return Compiled(module if isinstance(whole, Refused) else _frozen(whole), "script", made="file")
    if returns_list_of_rows(module):
        return Compiled(module, EAGER, (Refused("script", "list_of_rows"),))
    # The factory's arguments are part of the key: weights and code may be the same with others. So are the sizes, since
    # for others a trace may be wrong.
    sizes = layout.sizes, layout.dims, layout.whole, [(each.shape, each.named) for each in given.model_inputs]
    made_from = f"{config.source.factory} {sorted(config.source.kwargs.items())} {sizes}"
    key = store.key_of(as_graph(module), layout, config.torchscript, made_from)
    if (compiled := kept(key, layout.device)) is not None:
        return compiled
    made = faithful(given, config.torchscript, trace_tolerance(config), seed_of(config))
    if made.eager:
        _log.warning(
            "TorchScript would give other answers, so the model runs in eager mode: %s", sentences(made.refused)
        )
        return made
    frozen = Compiled(_frozen(made.forward), made.how, made.refused)
    keep(key, frozen)
    return frozen


def loaded_script(module: nn.Module) -> torch.jit.ScriptModule | None:
    """Return the module of a TorchScript file, also if it is called by keyword or its outputs are read from what it
    returns; None for any other network."""
    inner: nn.Module | None = module
    while isinstance(inner, fx.GraphModule | ReadOutputs):
        inner = inner._modules.get(INNER)
    return inner if isinstance(inner, torch.jit.ScriptModule) else None


def faithful(given: Network, method: str, tolerance: Tolerance, seed: int | None = None) -> Compiled:
    """Script or trace a module so that it answers as eager does; return it unchanged, as eager, if neither works.

    Args:
        given: the module, with what it is traced and compared with.
        method: auto, script or trace.
        tolerance: how far a trace may deviate from eager.
        seed: what both are seeded with to be compared, if they draw random numbers.
    """
    refused: tuple[Refused, ...] = ()
    graph = as_graph(given.module)
    for way in _WAYS[method]:
        made = _script(graph) if way == "script" else _trace(graph, given, tolerance, seed)
        if isinstance(made, torch.jit.ScriptModule):
            return Compiled(made, way, refused)
        refused = (*refused, *([made] if isinstance(made, Refused) else made))
    return Compiled(given.module, EAGER, refused)


def trace_tolerance(config: ModelConfig) -> Tolerance:
    """Return how far a trace may deviate from the module that it was made of: `tolerance` allows no other branch."""
    own, standard = tolerance_for(config.precision, config.tolerance), TOLERANCES[config.precision]
    return Tolerance(min(own.relative, standard.relative), min(own.disagree, standard.disagree))


def kept(key: str | None, device: torch.device) -> Compiled | None:
    """Return what an earlier start compiled under this key."""
    return store.read(_NAME, key, partial(_load, device=device))


def keep(key: str | None, compiled: Compiled) -> None:
    """Keep a compiled module for the starts to come."""
    store.write(_NAME, key, partial(_save, compiled))


def _load(path: Path, device: torch.device) -> Compiled:
    extra = {_MADE: ""}
    module = torch.jit.load(str(path), map_location=device, _extra_files=extra)  # type: ignore[no-untyped-call]
    made = json.loads(extra[_MADE])
    return Compiled(module, str(made["how"]), tuple(Refused(**each) for each in made["refused"]), made="before")


def _save(compiled: Compiled, path: Path) -> None:
    made = {"how": compiled.how, "refused": [asdict(each) for each in compiled.refused]}
    module: Any = compiled.forward
    save(module, path, {_MADE: json.dumps(made)})


def _script(module: nn.Module) -> torch.jit.ScriptModule | Refused:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            # Of the annotations in the __init__ of fx's own module.
            warnings.filterwarnings("ignore", "The TorchScript type system doesn't support instance-level annotations")
            made: torch.jit.ScriptModule = call(torch.jit.script, module)
            return made
    except Exception as error:  # The compiler raises half a dozen unrelated types; each means "not scriptable".
        return Refused("script", "not_compilable", first_line(error))


def _trace(
    module: nn.Module, given: Network, tolerance: Tolerance, seed: int | None
) -> torch.jit.ScriptModule | Refused | list[Refused]:
    reads = DataReads()
    try:
        with warnings.catch_warnings(record=True) as heard, torch.no_grad(), reads:
            warnings.simplefilter("always")
            traced: Any = call(torch.jit.trace, module, tuple(given.probes[0]), check_trace=False, strict=False)
    except Exception as error:  # As above: any failure of the tracer means "not traceable".
        return Refused("trace", "not_compilable", first_line(error))
    froze = [str(each.message) for each in heard if issubclass(each.category, torch.jit._trace.TracerWarning)]
    if froze and (wrong := _frozen_data(given, froze[0].partition(". ")[0], reads)):
        return wrong
    off = partial(_off, module, traced, given, seed)
    worst = max(map(off, given.probes))
    if froze and worst <= _allowed(tolerance):
        try:
            worst = max([worst, *_off_everywhere(off, given, _allowed(tolerance))])
        except TimeoutError:
            return Refused("trace", "too_long", "to compare a trace with eager at every warmed size")
    made: torch.jit.ScriptModule = traced
    return made if worst <= _allowed(tolerance) else Refused("trace", "deviates", deviation=worst)


def _frozen_data(given: Network, said: str, reads: DataReads) -> list[Refused]:
    """Return why a trace that torch warns of may hold numbers of its example; empty if it can hold sizes alone."""
    judged = exported(given)
    reason = judged if isinstance(judged, Refused) else judged.frozen
    if reason is not None and reason.code not in ("data_branch", "data_value"):
        return [reason, Refused("trace", "wrong_branch", said)]
    if reason is not None:
        return [replace(reason, way="trace")]
    if reads.first is not None:
        return [Refused("trace", "data_value", said, 0.0, reads.first.file, reads.first.line, reads.first.text)]
    every = given.draw is not None and not given.layout.whole and all(dim.padded for dim in given.layout.dims)
    return [] if every else [Refused("trace", "any_size", said)]


def _allowed(tolerance: Tolerance) -> float:
    return max(tolerance.relative, tolerance.disagree)


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


def _off(module: nn.Module, traced: Any, given: Network, seed: int | None, probe: Staged) -> float:
    """Return how far a trace is off eager on these inputs."""

    def answer(forward: Any) -> list[torch.Tensor]:
        # Copies: a network that works in place changes the question.
        with torch.no_grad(), seeded(seed, probe[0].device):
            return in_order(call(forward, *[each.clone() for each in probe]), given.outputs)

    try:
        answered = answer(traced)
    except RuntimeError:
        return float("inf")
    deviations = [deviation(*pair) for pair in zip(answered, answer(module), strict=True)]
    return max([0.0, *(each for each in deviations if each is not None)])


def _frozen(module: Any) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        frozen: torch.jit.ScriptModule = torch.jit.freeze(call(module.eval)) if hasattr(module, "training") else module
        return frozen
