"""The five mistakes, each shown absent on the prepared model itself before it may serve.

Flags are not believed: what counts is what the outputs do. A verdict goes into the log and the model's metadata; one
that fails stops the replica.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from configs.schema import ModelConfig

from .errors import ModelError
from .parity import TOLERANCES, Tolerance, compare
from .runner import Runner
from .signature import Rows
from .torchscript import Compiled


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of the five mistakes: absent, and what was found and measured to say so."""

    mistake: str
    ok: bool
    found: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def no_training(
    module: nn.Module, runner: Runner, rows: Rows, company: Sequence[Rows], tolerance: Tolerance
) -> Verdict:
    """Mistake 1: nothing trains, nothing records a graph, and an answer depends on its own row alone."""
    training = [name or type(part).__name__ for name, part in module.named_modules() if part.training]
    if training:
        raise ModelError(f"{training[0]} is in training mode\nhelp: do not switch it back after eval()")
    recording = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    if recording:
        raise ModelError(f"parameter {recording[0]} records gradients\nhelp: do not set requires_grad in forward")
    graphs = _outputs_with_graph(runner, rows)
    if graphs:
        raise ModelError(f"output {graphs[0]!r} carries a graph\nhelp: remove enable_grad from the model's forward")
    same_twice(runner, rows, tolerance)
    alone = _alone_or_in_company(runner, rows, company, tolerance)
    return Verdict(
        "train mode or gradients",
        True,
        "eval, no gradients, under inference_mode; the same rows give the same answer twice; "
        f"alone and in company a row's answer differs by {alone:.1e} of its size",
    )


def _outputs_with_graph(runner: Runner, rows: Rows) -> list[str]:
    staged = [torch.from_numpy(rows[tensor.name].copy()) for tensor in runner.feed]
    with torch.inference_mode():
        found = runner.raw(staged)
    return [
        tensor.name for tensor, value in zip(runner.outputs, found, strict=True) if value.requires_grad or value.grad_fn
    ]


def same_twice(runner: Runner, rows: Rows, tolerance: Tolerance) -> None:
    """Raise a ModelError where the same rows are answered otherwise the second time."""
    first, second = _run(runner, [rows]), _run(runner, [rows])
    advice = "the forward draws random numbers or keeps state: use nn.Dropout, not functional.dropout, and no counters"
    compare(second, first, runner.outputs, tolerance, "the same input, asked twice,", advice)


def _alone_or_in_company(runner: Runner, rows: Rows, company: Sequence[Rows], tolerance: Tolerance) -> float:
    together = _run(runner, [rows, *company])
    advice = (
        "rows influence each other: batch statistics, attention over the batch, or padding that no mask hides; "
        "fix the model, or use max_rows: 1"
    )
    worst = 0.0
    for row in range(rows[runner.feed[0].name].shape[0]):
        alone = _run(runner, [{name: array[row : row + 1] for name, array in rows.items()}])
        expected = [tensor[row : row + 1] for tensor in together]
        worst = max(worst, compare(alone, expected, runner.outputs, tolerance, "a row alone and in company", advice))
    return worst


def _run(runner: Runner, parts: Sequence[Rows]) -> list[torch.Tensor]:
    found = runner.run(parts)
    return [torch.from_numpy(found[tensor.name].copy()) for tensor in runner.outputs]


def cudnn_fed_well(runner: Runner, fixed: bool) -> Verdict:
    """Mistake 2: the search is on where shapes repeat, and every shape to be served was seen."""
    missing = [shape for shape in runner.layout.shapes if shape not in runner.warmed]
    if missing:
        raise ModelError(f"batch shape {missing[0]} was not warmed\nhelp: this is a fault of pitstop; please report it")
    if torch.backends.cudnn.benchmark != fixed or not torch.backends.cudnn.enabled:
        raise ModelError("cuDNN's settings were changed by the model\nhelp: leave torch.backends.cudnn to the config")
    where = "cuDNN searches" if runner.layout.device.type == "cuda" else "no GPU, so no cuDNN; would search"
    search = f"{where}: {'yes, shapes are fixed' if fixed else 'no, one size is open'}"
    return Verdict("cuDNN off or starved", True, f"{search}; {len(runner.warmed)} shapes warmed")


def compiled_truthfully(compiled: Compiled, config: ModelConfig, off: float, replayed: int) -> Verdict:
    """Mistake 3: what was compiled is kept, and answers as eager fp32 does. `replayed`: shapes with a CUDA graph."""
    kept = "loaded from the cache" if compiled.cached else "made in this start"
    made = f"{compiled.how}, {kept}" if compiled.how in ("script", "trace") else compiled.how
    note = f" ({compiled.note})" if compiled.note else ""
    graphs = f", {replayed} shape(s) as CUDA graphs" if replayed else ""
    found = f"asked {config.backend}, runs {made}{note}{graphs}; off eager fp32 by {off:.1e}, over every warmed size"
    return Verdict("compiled model not reused, or a lying trace", True, found)


def device_is_known(config: ModelConfig, runner: Runner, fallback: str | None, rate: float) -> Verdict:
    """Mistake 4: nobody takes a CPU for a GPU, and its rate is measured, not guessed."""
    device = runner.layout.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"
    fell = f"; FALLBACK: {fallback}" if fallback else ""
    return Verdict(
        "scaled on CPUs unmeasured", True, f"asked {config.device}, runs on {name}{fell}; {rate:,.0f} rows/s measured"
    )


def batched(single: float, best: float, size: int) -> Verdict:
    """Mistake 5: one matrix in place of many vectors; both rates in rows a second."""
    found = f"one by one {single:,.0f} rows/s, in batches of {size} {best:,.0f} rows/s: {best / single:.1f} times"
    return Verdict("vectors one by one", True, found)


def company_tolerance(precision: str, tolerance: Tolerance) -> Tolerance:
    """Kernels change with the batch size, so rows alone and in company may differ by rounding, but no more."""
    return Tolerance(max(tolerance.relative, TOLERANCES[precision].relative), tolerance.disagree)
