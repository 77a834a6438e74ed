"""From a config to a model that may serve: load, prepare, compile, warm, compare, prove. One call, or a ModelError."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from configs.schema import ModelConfig

from . import backends, proof, source
from .contest import contest
from .draw import Draw, Preprocess
from .graphs import Graphed, graph
from .layout import Layout
from .packed import pack
from .parity import Tolerance, compare, tolerance_for
from .prepare import freeze_in_eval, layout_of, pick_device, plain_arithmetic, prepare, reference_of, set_arithmetic
from .rates import ends
from .resolve import resolve
from .runner import Runner, in_order
from .signature import Array, Shape, Signature, signature_of
from .staging import to_device
from .torchscript import Compiled
from .warmup import warm

_PROBE_ROWS = 3


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

    @property
    def started_s(self) -> float:
        return sum(self.start_s.values())

    def summary(self) -> dict[str, Any]:
        """Return what metadata shows of the start: the five verdicts, the forward times, and what took how long."""
        return {
            "mistakes": [verdict.as_json() for verdict in self.verdicts],
            "forward_ms": {_label(shape): round(ms, 3) for shape, ms in sorted(self.forward_ms.items())},
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
    config: ModelConfig, device: str, fallback: str | None = None, module: nn.Module | None = None
) -> Served:
    """Make a model ready to serve.

    Args:
        config: the model.
        device: `cuda` or `cpu`, as the builder chose.
        fallback: why this is not the device one might expect, or None.
        module: what the source holds, where it was loaded already; it is changed in place.

    Raises:
        ModelError: it cannot be loaded, is off eager fp32, or still makes one of the five mistakes.
    """
    laps = _Laps()
    signature, layout = signature_of(config), layout_of(config, pick_device(device))
    set_arithmetic(config, fixed=layout.lengths == ())
    preprocess = resolve(config.preprocess)() if config.preprocess else None
    draw = Draw(signature, preprocess, layout.lengths)
    module = freeze_in_eval(source.load(config.source) if module is None else module)
    laps.lap("load")
    reference = reference_of(module, layout.device)
    module = prepare(module, config, layout)
    tolerance = tolerance_for(config.precision, config.tolerance)
    compiled = backends.compile_with(module, _probes(draw, layout), signature.outputs, layout, config)
    laps.lap("compile")
    runner = Runner(compiled.forward, draw.feed, signature.outputs, layout)
    rows, rounding = draw(_probe_rows(layout), seed=11), proof.company_tolerance(config.precision, tolerance)
    # Before anything is captured: a graph would repeat whatever state Python kept at that moment.
    forward_ms = quicken(runner, draw, compiled, config, lambda: proof.same_twice(runner, rows, rounding))
    forward_ms = contest(runner, draw, forward_ms)
    laps.lap("warm")
    off = _parity(runner, reference, draw, tolerance)
    laps.lap("compare")
    del reference
    company = _company(draw, layout)
    single, best, size = ends(forward_ms)
    verdicts = (
        proof.no_training(module, runner, rows, company, rounding),
        proof.cudnn_fed_well(runner, fixed=layout.lengths == ()),
        proof.compiled_truthfully(compiled, config, off, _replayed(runner)),
        proof.device_is_known(config, runner, fallback, best),
        proof.batched(single, best, size),
    )
    laps.lap("prove")
    runner.unwarmed = 0
    return Served(runner, signature, preprocess, verdicts, forward_ms, compiled.how, laps.start_s)


def quicken(
    runner: Runner, draw: Draw, compiled: Compiled, config: ModelConfig, before_graphs: Callable[[], None]
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


def _probe_rows(layout: Layout) -> int:
    return min(_PROBE_ROWS, layout.sizes[-1])


def _company(draw: Draw, layout: Layout) -> list[dict[str, Array]]:
    """Return strangers that take the longest shape, so that padding is part of the proof."""
    room = layout.sizes[-1] - _probe_rows(layout)
    return [draw.shaped((1, layout.lengths[-1] if layout.lengths else 0), seed=12)] if room else []


def _probes(draw: Draw, layout: Layout) -> list[list[torch.Tensor]]:
    sizes = {layout.sizes[0], _probe_rows(layout), layout.sizes[-1]}
    lengths = layout.lengths[:2] or (0,)
    return [
        [to_device(torch.from_numpy(arrays[tensor.name]), layout) for tensor in draw.feed]
        for seed, size in enumerate(sorted(sizes, reverse=True))
        for length in lengths
        for arrays in [draw.shaped((size, length), seed)]
    ]


def _parity(runner: Runner, reference: torch.nn.Module, draw: Draw, tolerance: Tolerance) -> float:
    """Compare with eager fp32 at every warmed size; return the largest deviation."""
    plain = replace(runner.layout, dtype=torch.float32, channels_last=False)
    advice = "choose a finer precision (bf16 → fp16 → tf32 → fp32) or another backend, or raise tolerance knowingly"
    worst = 0.0
    for seed, shape in enumerate(runner.layout.shapes):
        rows = draw.shaped(shape, seed=100 + seed)
        found = runner.run([rows])
        staged = [torch.from_numpy(rows[tensor.name]) for tensor in runner.feed]
        with torch.inference_mode(), plain_arithmetic():
            expected = in_order(reference(*[to_device(each, plain) for each in staged]), runner.outputs)
        pairs = [torch.from_numpy(found[tensor.name]) for tensor in runner.outputs]
        what = f"at {shape[0]} rows, {runner.layout.dtype}"
        worst = max(worst, compare(pairs, expected, runner.outputs, tolerance, what, advice))
    return worst


def _label(shape: Shape) -> str:
    return f"{shape[0]}x{shape[1]}" if shape[1] else str(shape[0])
