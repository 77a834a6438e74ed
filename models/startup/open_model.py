"""From a config to a model that may serve, in stages; each takes the values of earlier stages.

source → bound → checked eagerly → prepared → compiled → warmed → sizes chosen → checked → compared. One call, or a
ModelError.
"""

import time
from dataclasses import dataclass
from typing import Any

import torch

from configs.schema import ModelConfig

from ..runtime.forward_times import ends
from ..runtime.runner import Runner
from ..signature import Shape
from ..sources.hooks import Hook
from ..user_code import call_at_start
from . import mistake_checks, stages
from .check_error import noting
from .check_results import (
    Batching,
    CheckResult,
    CoBatchedRows,
    Compilation,
    Device,
    InferenceMode,
    Padding,
    WarmedShapes,
    as_json,
)
from .complete import completed
from .prepare import pick_device, set_arithmetic
from .sample_inputs import SampleInputs


@dataclass(frozen=True, slots=True)
class Checks:
    """All that a start has checked, in the order of the mistakes."""

    inference_mode: InferenceMode
    padding: Padding
    co_batched_rows: CoBatchedRows
    warmed_shapes: WarmedShapes
    compilation: Compilation
    device: Device
    batching: Batching

    @property
    def results(self) -> tuple[CheckResult, ...]:
        own = (self.inference_mode, self.padding, self.co_batched_rows)
        return (*own, self.warmed_shapes, self.compilation, self.device, self.batching)


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model that has passed its checks, with their results and timings; `start_s` by the start's steps.

    `config` is that of the model, with the signature that was found where it had none.
    """

    config: ModelConfig
    runner: Runner
    samples: SampleInputs
    postprocess: Hook | None
    checks: Checks
    forward_ms: dict[Shape, float]
    start_s: dict[str, float]
    precision: str
    inputs_passed: str
    outputs_read: str

    @property
    def how(self) -> str:
        """What runs: eager, script, trace, or the backend's name."""
        return self.checks.compilation.how

    @property
    def started_s(self) -> float:
        return sum(self.start_s.values())

    def summary(self) -> dict[str, Any]:
        """Return what metadata shows of the start: its checks, how the model runs, and what took how long."""
        return {
            "checks": [as_json(result) for result in self.checks.results],
            "forward_ms": {_label(shape): round(ms, 3) for shape, ms in sorted(self.forward_ms.items())},
            "precision": self.precision,
            "inputs_passed": self.inputs_passed,
            "outputs_read": self.outputs_read,
            "checked_with": self.samples.source,
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
) -> OpenedModel:
    """Make a model ready to serve.

    Args:
        config: the model.
        device: `cuda` or `cpu`, as the builder chose.
        fallback: why `auto` did not take a GPU, or None.
        module: the module, if it is already loaded; it is changed in place.

    Raises:
        ModelError: it cannot be loaded, deviates from eager, or still makes one of the five mistakes.
    """
    advice = "correct it there: a start runs the network on rows that it draws, and changes its mode, device and dtype"
    return call_at_start("the network", advice, _open, config, device, fallback, module)


def _open(config: ModelConfig, device: str, fallback: str | None, module: torch.nn.Module | None) -> OpenedModel:
    laps, place = _Laps(), pick_device(device)
    if config.source.pretrained is not None:
        config = completed(config)  # Its directory says which sizes are open, and so whether shapes repeat.
    set_arithmetic(config, config.fixed_shapes)
    bound = stages.bind_source(config, module)
    config = bound.config
    laps.lap("load")
    checked = stages.check_eagerly(bound, config, place)
    config = stages.declared(bound, checked)
    ready = stages.prepare_module(bound, checked)
    compiled = stages.compile_module(ready)
    laps.lap("compile")
    with noting(bound.samples.note):
        chosen = stages.choose_sizes(ready, stages.warm_shapes(ready, compiled))
        laps.lap("warm")
        rows = stages.prove_rows(ready, chosen.runner, checked.reference)
        laps.lap("prove")
        runner, samples = chosen.runner, ready.samples
        compared = mistake_checks.compilation(compiled, runner, checked.reference, samples, checked.arithmetic)
    laps.lap("compare")
    _, best = ends(chosen.forward_ms)
    checks = Checks(
        *rows,
        mistake_checks.warmed_shapes(chosen.runner, config.fixed_shapes),
        compared,
        mistake_checks.device(ready.config, chosen.runner, fallback, best.rows_s),
        mistake_checks.batching(chosen.forward_ms),
    )
    if config.random:
        # Else replicas would all draw the same, if the factory seeds torch.
        torch.seed()
    chosen.runner.unwarmed = 0  # The start's own rows may be larger than any warmed size.
    times = chosen.forward_ms, laps.start_s
    said = ready.config.precision, bound.passed, checked.reading.how
    return OpenedModel(config, chosen.runner, ready.samples, bound.postprocess, checks, *times, *said)


def _label(shape: Shape) -> str:
    rows, sizes = shape
    return "x".join(map(str, (rows, *sizes)))
