"""TorchScript that answers as eager does: scripted or traced, and traced only if the trace answers as eager does.

A model is scripted or, if that fails, traced where the trace can be trusted (tracing.py). Else it is served eagerly,
with the reason kept.
"""

import json
import logging
import time
import warnings
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from configs.backends import EAGER
from configs.precisions import quantizes
from configs.schema import ModelConfig

from ..errors import first_line
from ..parity import TOLERANCES, Tolerance, tolerance_for
from ..runtime.output_paths import INNER, ReadOutputs, as_graph, returns_list_of_rows
from ..runtime.seeding import seed_of
from ..user_code import call
from . import store
from .build import Compiled, Network, Uncompiled
from .refused import Refused, sentences
from .saving import save
from .tracing import traced

_NAME = "torchscript"
_MADE = "made.json"
_WAYS = {"auto": ("script", "trace"), "script": ("script",), "trace": ("trace", "script")}
_log = logging.getLogger("pitstop")


def build(given: Uncompiled) -> Compiled:
    """Compile, or load what an earlier start compiled from the same model."""
    module, config = given.module, given.config
    if config.source.exported_program is not None:
        return Compiled(module, EAGER, (Refused("script", "already_a_graph"),))
    if loaded_script(module) is not None:
        # Only as a whole can it be frozen, and packed for a CPU.
        whole = _script(as_graph(module))
        return Compiled(module if isinstance(whole, list) else _frozen(whole), "script", made="file")
    if quantizes(config.precision) or returns_list_of_rows(module):
        return Compiled(module, EAGER, (Refused("script", "int8" if quantizes(config.precision) else "list_of_rows"),))
    key = store.key_of(given, _NAME, config.torchscript, trace_tolerance(config), portable=True)
    kept = partial(load, device=given.layout.device)
    return store.kept_or_made(_NAME, key, kept, partial(_made, given, key), publish=given.publish, stale=given.stale)


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
        made = _script(graph) if way == "script" else traced(graph, given, tolerance, seed)
        if isinstance(made, torch.jit.ScriptModule):
            return Compiled(made, way, refused)
        refused = (*refused, *made)
    return Compiled(given.module, EAGER, refused)


def trace_tolerance(config: ModelConfig) -> Tolerance:
    """Return how far a trace may deviate from the module that it was made of: `tolerance` allows no other branch."""
    own, standard = tolerance_for(config.precision, config.tolerance), TOLERANCES[config.precision]
    return Tolerance(min(own.relative, standard.relative), min(own.disagree, standard.disagree))


def keep(key: str | None, compiled: Compiled, *, publish: bool = False, seconds: float | None = None) -> None:
    """Keep a compiled module for the starts to come."""
    store.write(_NAME, key, partial(_save, compiled), publish=publish, seconds=seconds)


def load(path: Path, device: torch.device) -> Compiled:
    """Read what `keep` has written."""
    extra = {_MADE: ""}
    module = torch.jit.load(str(path), map_location=device, _extra_files=extra)  # type: ignore[no-untyped-call]
    made = json.loads(extra[_MADE])
    return Compiled(module, str(made["how"]), tuple(Refused(**each) for each in made["refused"]), made="before")


def _made(given: Uncompiled, key: str | None) -> Compiled:
    config, started = given.config, time.perf_counter()
    tolerance, seed = trace_tolerance(config), seed_of(config)
    made = faithful(given, config.torchscript, tolerance, seed)
    if made.eager:
        _log.warning(
            "TorchScript would give other answers, so the model runs in eager mode: %s", sentences(made.refused)
        )
        return made
    frozen = Compiled(_frozen(made.forward), made.how, made.refused)
    keep(key, frozen, publish=given.publish, seconds=time.perf_counter() - started)
    return frozen


def _save(compiled: Compiled, path: Path) -> None:
    made = {"how": compiled.how, "refused": [asdict(each) for each in compiled.refused]}
    module: Any = compiled.forward
    save(module, path, {_MADE: json.dumps(made)})


def _script(module: nn.Module) -> torch.jit.ScriptModule | list[Refused]:
    if (name := _calls_otherwise(module)) is not None:
        return [Refused("script", "own_call", name)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            # Of the annotations in the __init__ of fx's own module.
            warnings.filterwarnings("ignore", "The TorchScript type system doesn't support instance-level annotations")
            made: torch.jit.ScriptModule = call(torch.jit.script, module)
            return made
    except Exception as error:  # The compiler raises half a dozen unrelated types; each means "not scriptable".
        return [Refused("script", "not_compilable", first_line(error))]


def _calls_otherwise(module: nn.Module) -> str | None:
    """Return what runs beside forward when a part of a network is called; None where nothing does."""
    if nn.modules.module._has_any_global_hook():  # type: ignore[no-untyped-call]
        return "a global hook of torch"
    for each in map(type, module.modules()):
        own = each.__call__ is not nn.Module.__call__ and not issubclass(each, fx.GraphModule | torch.jit.ScriptModule)
        if own and not each.__module__.startswith("torch."):
            return f"{each.__name__}.__call__"
    return None


def _frozen(module: Any) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        frozen: torch.jit.ScriptModule = torch.jit.freeze(call(module.eval)) if hasattr(module, "training") else module
        return frozen
