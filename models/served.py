"""From a config to a model that may serve: load, prepare, compile, warm, compare, prove. One call, or a ModelError."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from configs.schema import ModelConfig

from . import backends, proof, source
from .contest import contest
from .draw import Draw, Preprocess, draw_of
from .first_checks import eager
from .graphs import Graphed, graph
from .input_binding import BY_NAME, bind
from .layout import Layout
from .packed import pack
from .parity import Tolerance, compare, refuse_uncompared, tolerance_for
from .prepare import freeze_in_eval, pick_device, prepare, set_arithmetic
from .rates import ends
from .reference import Reference
from .row_checks import count_of, prepared, same_twice
from .runner import Runner
from .signature import Shape, Signature, signature_of
from .staging import to_device
from .torchscript import Compiled
from .user_code import call_at_start
from .warmup import warm

_log = logging.getLogger("pitstop")


@dataclass(frozen=True, slots=True)
class Served:
    """A model that has proved itself, with what was found and measured on the way; `start_s` by the start's steps."""

    runner: Runner
    signature: Signature
    preprocess: Preprocess | None
    verdicts: tuple[proof.Verdict, ...]
    forward_ms: dict[Shape, float]
    how: str
    start_s: dict[str, float]
    precision: str
    inputs_passed: str

    @property
    def started_s(self) -> float:
        return sum(self.start_s.values())

    def summary(self) -> dict[str, Any]:
        """Return what metadata shows of the start: the five verdicts, how the model runs, and what took how long."""
        return {
            "mistakes": [verdict.as_json() for verdict in self.verdicts],
            "forward_ms": {_label(shape): round(ms, 3) for shape, ms in sorted(self.forward_ms.items())},
            "precision": self.precision,
            "inputs_passed": self.inputs_passed,
            "start_s": {step: round(took_s, 2) for step, took_s in self.start_s.items()},
        }


class _Laps:
    """A stopwatch: `lap` notes what the step since the last one took."""

    def __init__(self) -> None:
        self.start_s: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.start_s[step] = now - self._since
        self._since = now


def open_model(
    config: ModelConfig, device: str, fallback: str | None = None, module: torch.nn.Module | None = None
) -> Served:
    """Make a model ready to serve.

    Args:
        config: the model.
        device: `cuda` or `cpu`, as the builder chose.
        fallback: why this is not the device one might expect, or None.
        module: what the source holds, where it was loaded already; it is changed in place.

    Raises:
        ModelError: it cannot be loaded, is off eager, or still makes one of the five mistakes.
    """
    advice = "correct it there: a start runs the network on rows that it draws, and changes its mode, device and dtype"
    return call_at_start("the network", advice, _open, config, device, fallback, module)


def _open(config: ModelConfig, device: str, fallback: str | None, module: torch.nn.Module | None) -> Served:
    laps = _Laps()
    place = pick_device(device)
    set_arithmetic(config, fixed=not config.lengths)
    signature, draw = signature_of(config), draw_of(config)
    loaded = source.load(config.source) if module is None else module
    module, passed = bind(freeze_in_eval(loaded), draw)
    if passed != BY_NAME:
        _log.info("%s: inputs are passed %s", config.name, passed)
    laps.lap("load")
    asked = eager(module, config, place, draw, signature.outputs)
    config, layout, reference, why = asked.arithmetic.config, asked.layout, asked.reference, asked.arithmetic.why
    if why:
        _log.info("%s: runs %s", config.name, why)
    module = prepare(module, config, layout)
    compiled = backends.compile_with(module, _probes(draw, layout), signature.outputs, layout, config)
    laps.lap("compile")
    runner = Runner(compiled.forward, draw.feed, signature.outputs, layout)
    # Before anything is captured: a graph would repeat whatever state Python kept at that moment.
    steady = partial(same_twice, prepared(runner), draw, layout, signature.outputs)
    forward_ms = contest(runner, draw, quicken(runner, draw, compiled, config, steady))
    laps.lap("warm")
    own_rows = proof.no_training(module, runner, reference, draw, config)
    laps.lap("prove")
    off = _parity(runner, reference, draw, tolerance_for(config.precision, config.tolerance))
    eager_precision = reference.precision
    del reference, asked
    laps.lap("compare")
    single, best, size = ends(forward_ms)
    verdicts = (
        own_rows,
        proof.cudnn_fed_well(runner, fixed=layout.lengths == ()),
        proof.compiled_truthfully(compiled, config, eager_precision, off, _replayed(runner), why),
        proof.device_is_known(config, runner, fallback, best),
        proof.batched(single, best, size),
    )
    runner.unwarmed = 0
    return Served(
        runner, signature, draw.preprocess, verdicts, forward_ms, compiled.how, laps.start_s, config.precision, passed
    )


def quicken(
    runner: Runner, draw: Draw, compiled: Compiled, config: ModelConfig, before_graphs: Callable[[], object]
) -> dict[Shape, float]:
    """Warm a runner, with what is faster on its device than the compiled forward; return every forward, in ms."""
    if runner.layout.device.type == "cpu":
        return pack(runner, draw, compiled)
    forward_ms = warm(runner, draw)
    if not config.cuda_graphs:
        return forward_ms
    before_graphs()
    return graph(runner, draw, forward_ms)


def _replayed(runner: Runner) -> int:
    return len(runner.forward.graphs) if isinstance(runner.forward, Graphed) else 0


def _probes(draw: Draw, layout: Layout) -> list[list[torch.Tensor]]:
    sizes = {layout.sizes[0], count_of(layout.sizes[-1]), layout.sizes[-1]}
    lengths = layout.lengths[:2] or (0,)
    return [
        [to_device(torch.from_numpy(arrays[tensor.name]), layout) for tensor in draw.feed]
        for seed, size in enumerate(sorted(sizes, reverse=True))
        for length in lengths
        for arrays in [draw.shaped((size, length), seed)]
    ]


def _parity(runner: Runner, reference: Reference, draw: Draw, tolerance: Tolerance) -> float:
    """Compare with eager at every warmed size; return the largest deviation."""
    advice = "use backend: eager, or torchscript: trace: what was compiled answers otherwise than the network"
    if runner.layout.dtype not in (torch.float32, torch.float64):
        advice = "choose a finer precision (bf16 → fp16 → tf32 → fp32), or raise tolerance if you accept the difference"
    found = prepared(runner)
    worst: dict[str, float] = {}
    for seed, shape in enumerate(runner.layout.shapes):
        rows = draw.shaped(shape, seed=100 + seed)
        what = f"at {shape[0]} rows, {runner.layout.dtype}"
        compared = compare(found(rows), reference(rows), runner.outputs, tolerance, what, advice)
        worst |= {name: max(off, worst.get(name, 0.0)) for name, off in compared.items()}
    refuse_uncompared(worst, runner.outputs)
    return max(worst.values())


def _label(shape: Shape) -> str:
    return f"{shape[0]}x{shape[1]}" if shape[1] else str(shape[0])
