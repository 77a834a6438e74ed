"""Builds a model: in one setting, as a start leaves it, and without any preparation.

A start packs convolutions for a CPU or captures CUDA graphs, each where it is faster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import torch
from torch import nn

from configs.backends import EAGER
from configs.precisions import AUTO
from configs.schema import ModelConfig
from models.compile.build import Compiled, Uncompiled, compile_with
from models.compile.refused import WRONG_TRACE, Refused, sentences
from models.errors import ModelError, first_line
from models.parity import Tolerance, tolerance_for
from models.runtime.layout import Layout
from models.runtime.runner import Forward
from models.startup.cuda_graphs import Graphed
from models.startup.onednn_packing import PackedForward, packs
from models.startup.open_model import OpenedModel, open_model
from models.startup.prepare import freeze_in_eval, prepare
from models.startup.row_checks import staged

from .step import STARTED, ForwardSetting, StepSpec
from .subject import Subject, arithmetic, stage

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Built:
    """What is called, where its inputs go, and how it was made. `module` is the one before compilation.

    `setting` is what it was made as; `config` may have another precision, if the model has one of its own.
    `refused`: the ways to compile it that were left. `batches`: for which of them a start took its own forward.
    `fastest_rows`: the batch size at which a start found the most rows a second; 0 where none was asked.
    """

    setting: ForwardSetting
    config: ModelConfig
    forward: Forward
    module: nn.Module
    layout: Layout
    how: str
    weights_mib: float
    tolerance: Tolerance
    refused: tuple[Refused, ...] = ()
    batches: str = ""
    fastest_rows: int = 0

    @property
    def fell_back(self) -> bool:
        """Whether the backend left the model eager."""
        return self.how == EAGER != self.setting.backend

    @property
    def wrong_trace(self) -> str:
        """Why a trace was refused that would be wrong for other inputs; "" if none was."""
        return sentences(each for each in self.refused if each.code in WRONG_TRACE)

    @property
    def note(self) -> str:
        return "; ".join(each for each in (sentences(self.refused), self.batches) if each)


def build(subject: Subject, setting: ForwardSetting, more: Mapping[str, str] = MappingProxyType({})) -> Built:
    """Prepare and compile a copy of the model as a replica of this setting would; `more`: other lines of its config.

    Raises:
        ModelError: eager fails in this precision. What was compiled of it might end the process: TorchScript in bf16
            does so where forward makes float32 of an input.
    """
    same = setting.precision == subject.config.precision or subject.asked.precision == AUTO
    tolerance = subject.config.tolerance if same else None
    config = subject.config.model_copy(update={**more, **setting.lines, "tolerance": tolerance})
    config, layout = subject.ready(config)
    with arithmetic(config, subject.fixed):
        module = prepare(freeze_in_eval(subject.reads()), config, layout)
        probes = [stage(subject.arrays(rows), layout) for rows in _probe_rows(subject)]
        _run_once(module, probes[-1], config.precision)
        draw = partial(staged, subject.samples, layout)
        tensors = subject.samples.model_inputs, subject.outputs
        given = Uncompiled(module, probes, *tensors, layout, config, subject.identity, draw=draw)
        compiled = _compiled(given, subject.minutes)
    allowed = tolerance_for(config.precision, tolerance)
    made = compiled.forward, module, layout, compiled.how
    return Built(setting, config, *made, _weights_mib(module), allowed, compiled.refused)


def started_label(subject: Subject, built: Built) -> str | None:
    """Return the label of what a start would try to make faster; None if there is nothing."""
    if subject.device.type == "cuda":
        return "CUDA graphs" if subject.config.cuda_graphs else None
    return "packed for this CPU" if packs(built.forward, built.layout) else None


def started_spec(subject: Subject, built: Built) -> StepSpec:
    return StepSpec(STARTED, started_label(subject, built) or "as a start runs it", "path", 1, built.setting)


def started(subject: Subject, built: Built) -> Built:
    """Return the model as a replica runs it: opened as a start opens it, with all of its checks.

    Raises:
        ModelError: a start refuses it.
    """
    with arithmetic(built.config, subject.fixed):
        served = open_model(built.config, subject.device.type, module=subject.as_loaded())
    return as_served(subject, built, served)


def as_served(subject: Subject, built: Built, served: OpenedModel) -> Built:
    """Return a model as a start has left it; `built` is the same as compiled."""
    ms = {rows: each for (rows, sizes), each in served.forward_ms.items() if sizes == subject.open_sizes}
    fastest = max(ms, key=lambda rows: rows / ms[rows], default=1)
    found = replace(built, how=served.how, fastest_rows=fastest)
    if not _changed(served.runner.forward, built.forward):
        return found
    forward = served.runner.forward
    # The plain forward stays beside the packed one, for smaller batches, and each has its own weights.
    copies = 2 if isinstance(forward, PackedForward) else 1
    return replace(found, forward=forward, batches=batches_of(forward), weights_mib=copies * built.weights_mib)


def batches_of(forward: Forward) -> str:
    """Return for which batch sizes the start uses it."""
    if isinstance(forward, Graphed):
        return f"up to {max(shape[0] for [shape, *_] in forward.graphs)} rows"
    return f"from {forward.from_rows} rows on" if isinstance(forward, PackedForward) else ""


def unprepared(subject: Subject, training: bool) -> Built:
    """Return the model as it is without preparation: fp32, recording gradients, in training mode or not."""
    config = subject.config.model_copy(update={"backend": EAGER, "precision": "fp32", "memory_format": "contiguous"})
    module = subject.reads().to(subject.device)
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
    anything = Tolerance(float("inf"), float("inf"))
    plain = ForwardSetting(EAGER, "fp32", "contiguous")
    return Built(plain, config, module, module, layout, EAGER, _weights_mib(module), anything)


def four_dimensional(subject: Subject) -> bool:
    """Whether a memory format can make a difference."""
    return any(torch.from_numpy(array).dim() == 4 for array in subject.arrays(1))


def _compiled(given: Uncompiled, minutes: bool) -> Compiled:
    """Take what is kept, or compile it, if there may be minutes, into this machine's cache: no audit fills a store."""
    found = compile_with(given)
    if not minutes or not any(each.code == "not_built" for each in found.refused):
        return found
    if given.identity is None:
        raise ModelError("nothing that is compiled of this network can be kept, so no start has it")
    return compile_with(replace(given, minutes=True))


def _run_once(module: nn.Module, inputs: Sequence[torch.Tensor], precision: str) -> None:
    try:
        with torch.inference_mode():
            module(*inputs)
    except Exception as error:  # The network's own code.
        raise ModelError(
            f"eager fails in {precision} already, so no other way is tried ({first_line(error)})"
        ) from error


def _probe_rows(subject: Subject) -> list[int]:
    # A trace is checked at several batch sizes; the largest goes first, as models.startup.open_model has it.
    return sorted({1, min(3, subject.sizes[-1]), subject.sizes[-1]}, reverse=True)


def _changed(forward: Forward, compiled: Forward) -> bool:
    """Whether a start changed the compiled forward, by CUDA graphs or by packed convolutions."""
    return isinstance(forward, PackedForward | Graphed) or _convolutions(forward) < _convolutions(compiled)


def _convolutions(forward: Forward) -> int:
    return str(forward.inlined_graph).count("aten::conv") if isinstance(forward, torch.jit.ScriptModule) else 0


def _weights_mib(module: nn.Module) -> float:
    tensors = {id(each): each for each in [*module.parameters(), *module.buffers()]}
    return sum(each.numel() * each.element_size() for each in tensors.values()) / _MIB
