"""The checks of the prepared model: it makes none of the first three mistakes, and the last two are measured.

They test the outputs, not flags. A result goes into the log and the model's metadata; a check that fails ends the
start with a CheckError.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import torch
from torch import nn

from configs.backends import AUTO, EAGER
from configs.schema import ModelConfig

from ..compile.build import Compiled
from ..errors import ModelError
from ..parity import TOLERANCES, Tolerance, compare, refuse_uncompared, tolerance_for
from ..runtime.forward_times import ends
from ..runtime.runner import Runner
from ..runtime.seeding import seed_of
from ..signature import Rows, Shape
from .advice import rounds
from .check_error import failing
from .check_results import Batching, Code, Compilation, Device, InferenceMode, WarmedShapes
from .cuda_graphs import Graphed
from .declared_dtypes import check_returned
from .eager_reference import Reference
from .precision import Arithmetic
from .row_checks import prepared, probe_rows, same_twice
from .sample_inputs import SampleInputs

_ANY = Tolerance(math.inf, math.inf)
Seen = Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor]], None]
# Seeds that must not all give the same answer.
_SEEDS = range(1, 5)


def inference_mode(module: nn.Module, runner: Runner, samples: SampleInputs, config: ModelConfig) -> InferenceMode:
    """Nothing trains, nothing records a graph, and the same rows are answered alike twice."""
    with failing(InferenceMode):
        training = [name or type(part).__name__ for name, part in module.named_modules() if part.training]
        if training:
            raise ModelError(f"{training[0]} is in training mode\nhelp: do not switch it back after eval()")
        recording = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        if recording:
            raise ModelError(f"parameter {recording[0]} records gradients\nhelp: do not set requires_grad in forward")
        graphs = _outputs_with_graph(runner, probe_rows(samples, runner.layout.sizes[-1])[0])
        if graphs:
            raise ModelError(f"output {graphs[0]!r} carries a graph\nhelp: remove enable_grad from the model's forward")
        same_twice(prepared(runner, seed_of(config)), samples, runner.layout, runner.outputs, config.random)
    return InferenceMode(random=config.random)


def warmed_shapes(runner: Runner, fixed: bool) -> WarmedShapes:
    """cuDNN's autotuning is on where shapes repeat, and every shape to be served was seen."""
    with failing(WarmedShapes):
        missing = [shape for shape in runner.layout.shapes if shape not in runner.warmed]
        if missing:
            raise ModelError(
                f"batch shape {missing[0]} was not warmed\nhelp: this is a fault of pitstop; please report it"
            )
        if torch.backends.cudnn.benchmark != fixed or not torch.backends.cudnn.enabled:
            raise ModelError(
                "cuDNN's settings were changed by the model\nhelp: leave torch.backends.cudnn to the config"
            )
    on_gpu = runner.layout.device.type == "cuda"
    return WarmedShapes("passed", len(runner.warmed), fixed if on_gpu else None, runner.layout.whole)


def compilation(
    compiled: Compiled,
    runner: Runner,
    reference: Reference,
    samples: SampleInputs,
    arithmetic: Arithmetic,
    asked: str,
    took_ms: dict[Shape, float] | None = None,
    seen: Seen | None = None,
) -> Compilation:
    """What was compiled answers as eager does, at every warmed size.

    `took_ms` gets how long each took, and `seen` its answers and eager's.
    """
    config = arithmetic.config
    with failing(Compilation):
        other_draws = config.random and not _draws_alike(compiled, runner, reference)
        shapes = runner.layout.shapes
        deviations = _deviations(
            runner, reference, samples, config, compiled.how, not other_draws, shapes, seen, took_ms
        )
        if config.random:
            _draws_anew(runner, reference, samples)
    standard = TOLERANCES[config.precision]
    limits = {each.name: standard.relative if each.numpy.kind == "f" else standard.disagree for each in runner.outputs}
    beyond = any(each > limits[name] for name, each in deviations.items())
    key = "random" if other_draws else "tolerance" if config.tolerance is not None else ""
    waived_by = key if beyond else ""
    return Compilation(
        code="waived" if waived_by else "passed",
        asked=asked,
        how=compiled.how,
        made=compiled.made,
        refused=compiled.refused,
        graphs=len(runner.forward.graphs) if isinstance(runner.forward, Graphed) else 0,
        deviation=max(deviations.values()),
        reference=reference.precision,
        precision_reason=arithmetic.why,
        waived_by=waived_by,
        allowed=None if other_draws else config.tolerance,
        random=config.random,
    )


def spot_check(
    compiled: Compiled, runner: Runner, reference: Reference, samples: SampleInputs, config: ModelConfig
) -> None:
    """Compare the answers of the smallest batch with eager's, where an earlier start compared every shape."""
    with failing(Compilation):
        enforced = not config.random or _draws_alike(compiled, runner, reference)
        _deviations(runner, reference, samples, config, compiled.how, enforced, runner.layout.shapes[-1:])


def device(config: ModelConfig, runner: Runner, fallback: str | None, rows_s: float) -> Device:
    """Nobody takes a CPU for a GPU, and its rate is measured, not guessed."""
    place, threads = runner.layout.device, torch.get_num_threads()
    name = f"CPU, {threads} thread{'s' * (threads > 1)}"
    if place.type == "cuda":
        name = torch.cuda.get_device_name(place)
    return Device("measured", config.device, name, rows_s, fallback)


def batching(forward_ms: Mapping[Shape, float]) -> Batching:
    """What a matrix in place of many vectors gains."""
    least, best = ends(forward_ms)
    one_size = len({rows for rows, _ in forward_ms}) == 1
    code: Code = "not_applicable" if one_size else "measured"
    reason = f"every forward takes {least.rows} row{'s' * (least.rows > 1)}" if one_size else ""
    return Batching(code, least.rows, least.rows_s, best.rows, best.rows_s, best.rows_s / least.rows_s, reason)


def _outputs_with_graph(runner: Runner, rows: Rows) -> list[str]:
    staged = [torch.from_numpy(rows[tensor.name].copy()) for tensor in runner.model_inputs]
    with torch.inference_mode():
        outputs = runner.raw(staged)
    check_returned(outputs, runner.outputs)
    return [
        tensor.name
        for tensor, value in zip(runner.outputs, outputs, strict=True)
        if value.requires_grad or value.grad_fn
    ]


def _draws_alike(compiled: Compiled, runner: Runner, reference: Reference) -> bool:
    """Whether a random model must draw what eager does from the same seed.

    In another dtype, or in another order of the numbers in memory, torch draws others; so do a GPU's fused kernels.
    """
    layout = runner.layout
    same = layout.dtype == reference.layout.dtype and not layout.channels_last
    return same and (compiled.eager or layout.device.type == "cpu")


def _draws_anew(runner: Runner, reference: Reference, samples: SampleInputs) -> None:
    """Raise ModelError if eager's answers differ with every seed, and the prepared model's with none."""
    rows, _ = probe_rows(samples, runner.layout.sizes[-1])
    eager = [replace(reference, seed=seed)(rows) for seed in _SEEDS]
    if any(_equal(*pair) for pair in combinations(eager, 2)):
        return
    first, *others = [prepared(runner, seed)(rows) for seed in _SEEDS]
    if all(_equal(first, other) for other in others):
        raise ModelError(
            "the compiled forward always draws the same random numbers\n"
            "help: use backend: eager, or torchscript: script"
        )


def _equal(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def _deviations(
    runner: Runner,
    reference: Reference,
    samples: SampleInputs,
    config: ModelConfig,
    how: str,
    enforced: bool,
    shapes: Sequence[Shape],
    seen: Seen | None = None,
    took_ms: dict[Shape, float] | None = None,
) -> dict[str, float]:
    """Compare with eager at these shapes; return the largest deviation of each output.

    Unless it is `enforced`, any deviation is allowed.
    """
    advice = _advice(config, how)
    tolerance = tolerance_for(config.precision, config.tolerance) if enforced else _ANY
    answer = prepared(runner, seed_of(config))
    worst: dict[str, float] = {}
    for seed, shape in enumerate(shapes):
        rows = samples.shaped(shape, seed=100 + seed)
        what = f"at {shape[0]} rows, {config.precision},"
        began = time.perf_counter()
        answered = answer(rows)
        if took_ms is not None:
            took_ms[shape] = 1000 * (time.perf_counter() - began)
        expected = reference(rows)
        compared = compare(answered, expected, runner.outputs, tolerance, what, advice)
        if seen is not None:
            seen(answered, expected)
        worst |= {name: max(each, worst.get(name, 0.0)) for name, each in compared.items()}
    refuse_uncompared(worst, runner.outputs)
    return worst


def _advice(config: ModelConfig, how: str) -> str:
    """Return what to do where a forward that was made in this way answers otherwise than eager does."""
    ways = {"script": ", or torchscript: trace", "trace": ", or torchscript: script"}
    other = "" if how == EAGER else f"use backend: eager{ways.get(how, '')}"
    if not rounds(config.precision):
        # All that an eager forward in the same precision may differ in.
        return other or "use memory_format: contiguous"
    finer = "choose a finer precision (int8 → bf16 → fp16 → tf32 → fp32), or raise tolerance if the difference may be"
    # With backend: auto eager has its turn anyway.
    return finer + (f"; if what was compiled is the cause, {other}" if other and config.backend != AUTO else "")
