"""A model made ready in one setting, by the functions that a replica uses, and one that was not made ready at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from configs.schema import ModelConfig
from models.backends import compile_with
from models.errors import ModelError
from models.layout import Layout
from models.parity import Tolerance, tolerance_for
from models.prepare import freeze_in_eval, prepare
from models.runner import Forward

from .memory import weights_mib
from .reason import reason
from .step import Setting
from .subject import Subject, arithmetic, stage


@dataclass(frozen=True, slots=True)
class Built:
    """What is called, where its inputs go, and how it was made. `module` is the one before compilation."""

    config: ModelConfig
    forward: Forward
    module: nn.Module
    layout: Layout
    how: str
    note: str
    weights_mib: float
    tolerance: Tolerance
    # The batch size at which a start found the most rows a second; 0 where none was asked.
    fastest_rows: int = 0


def build(subject: Subject, setting: Setting, more: Mapping[str, str] = MappingProxyType({})) -> Built:
    """Prepare and compile a copy of the model as a replica of this setting would; `more`: other lines of its config.

    Raises:
        ModelError: eager fails in this precision. What was compiled of it might end the process: TorchScript in bf16
            does so where forward makes float32 of an input.
    """
    same = setting.precision == subject.config.precision
    tolerance = subject.config.tolerance if same else None
    config = subject.config.model_copy(update={**setting.lines, **more, "tolerance": tolerance})
    config, layout = subject.ready(config)
    with arithmetic(config, subject.fixed):
        module = prepare(freeze_in_eval(subject.copy()), config, layout)
        probes = [stage(subject.arrays(rows), layout) for rows in _probe_rows(subject)]
        _run_once(module, probes[-1], config.precision)
        compiled = compile_with(module, probes, subject.outputs, layout, config)
    weights = weights_mib(module)
    allowed = tolerance_for(config.precision, tolerance)
    return Built(config, compiled.forward, module, layout, compiled.how, compiled.note, weights, allowed)


def _run_once(module: nn.Module, inputs: Sequence[torch.Tensor], precision: str) -> None:
    try:
        with torch.inference_mode():
            module(*inputs)
    except Exception as error:  # The network's own code.
        raise ModelError(f"eager fails in {precision} already, so no other way is tried ({reason(error)})") from error


def unprepared(subject: Subject, training: bool) -> Built:
    """Return the model as it is without preparation: fp32, recording gradients, in training mode or not."""
    config = subject.config.model_copy(update={"backend": "eager", "precision": "fp32", "memory_format": "contiguous"})
    module = subject.copy().to(subject.device)
    try:
        module.train(training)
    except NotImplementedError as error:
        raise ModelError("a .pt2 export has its mode written in") from error
    for parameter in module.parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(True)
    config, layout = subject.ready(config)
    if layout.dtype == torch.float64 and not layout.as_declared:
        module = module.double()
    return Built(
        config, module, module, layout, "eager", "", weights_mib(module), Tolerance(float("inf"), float("inf"))
    )


def four_dimensional(subject: Subject) -> bool:
    """Whether a memory format can make a difference."""
    return any(torch.from_numpy(array).dim() == 4 for array in subject.arrays(1))


def _probe_rows(subject: Subject) -> list[int]:
    # A trace is checked at several batch sizes; the largest goes first, as models.served has it.
    return sorted({1, min(3, subject.sizes[-1]), subject.sizes[-1]}, reverse=True)
