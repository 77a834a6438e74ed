"""The five mistakes, each shown absent on the prepared model itself before it may serve.

Flags are not believed: what counts is what the outputs do. A verdict goes into the log and the model's metadata; one
that fails stops the replica.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from configs.schema import ModelConfig

from .declared import check_outputs
from .draw import Draw
from .errors import ModelError
from .reference import Reference
from .row_checks import dependence, prepared, probe_rows, same_twice
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


def no_training(module: nn.Module, runner: Runner, reference: Reference, draw: Draw, config: ModelConfig) -> Verdict:
    """Mistake 1: nothing trains, nothing records a graph, and an answer depends on its own row alone."""
    training = [name or type(part).__name__ for name, part in module.named_modules() if part.training]
    if training:
        raise ModelError(f"{training[0]} is in training mode\nhelp: do not switch it back after eval()")
    recording = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    if recording:
        raise ModelError(f"parameter {recording[0]} records gradients\nhelp: do not set requires_grad in forward")
    most = runner.layout.sizes[-1]
    graphs = _outputs_with_graph(runner, probe_rows(draw, most)[0])
    if graphs:
        raise ModelError(f"output {graphs[0]!r} carries a graph\nhelp: remove enable_grad from the model's forward")
    same_twice(prepared(runner), draw, runner.layout, runner.outputs)
    found = dependence(runner, reference, draw, config)
    return Verdict(
        "train mode or gradients",
        True,
        "eval, no gradients, under inference_mode; the same rows give the same answer twice; " + found.describe(),
    )


def _outputs_with_graph(runner: Runner, rows: Rows) -> list[str]:
    staged = [torch.from_numpy(rows[tensor.name].copy()) for tensor in runner.feed]
    with torch.inference_mode():
        found = runner.raw(staged)
    check_outputs(found, runner.outputs)
    return [
        tensor.name for tensor, value in zip(runner.outputs, found, strict=True) if value.requires_grad or value.grad_fn
    ]


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


def compiled_truthfully(
    compiled: Compiled, config: ModelConfig, eager: str, off: float, replayed: int, note: str = ""
) -> Verdict:
    """Mistake 3: what was compiled is kept, and answers as eager does, in that precision.

    `replayed`: shapes with a CUDA graph. `note`: why the precision is not the config's.
    """
    kept = "loaded from the cache" if compiled.cached else "made in this start"
    made = f"{compiled.how}, {kept}" if compiled.how in ("script", "trace") else compiled.how
    notes = "; ".join(each for each in (compiled.note, note) if each)
    why = f" ({notes})" if notes else ""
    graphs = f", {replayed} shape(s) as CUDA graphs" if replayed else ""
    found = f"asked {config.backend}, runs {made}{why}{graphs}; off eager {eager} by {off:.1e}, over every warmed size"
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
