"""From a config to a model that may serve, in stages; each takes the values of earlier stages.

source → bound → checked eagerly → candidates compiled and timed → the fastest warmed → sizes chosen → checked →
compared; if it fails a check, the next candidate. One call, or a ModelError.
"""

import logging
import time
from dataclasses import dataclass, replace
from typing import Any

import torch

from configs.schema import ModelConfig

from ..runtime.forward_times import ends
from ..runtime.runner import Runner
from ..signature import Shape, label
from ..sources.hooks import Hook
from ..user_code import call_at_start
from . import mistake_checks, stages
from .candidates import Tried, field_of
from .check_error import CheckError, noting
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
from .contender import Contender
from .eager_checks import Eager
from .precision import plain
from .prepare import pick_device, set_arithmetic
from .sample_inputs import SampleInputs
from .selection import Selection
from .warmup import Warmed

_log = logging.getLogger("pitstop")


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
    # All that were compared, the one that serves first.
    candidates: tuple[Tried, ...]

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
            "candidates": [each.as_json() for each in self.candidates],
            "forward_ms": {label(shape): round(ms, 3) for shape, ms in sorted(self.forward_ms.items())},
            "precision": self.precision,
            "inputs_passed": self.inputs_passed,
            "outputs_read": self.outputs_read,
            "checked_with": self.samples.source,
            "start_s": {step: round(took_s, 2) for step, took_s in self.start_s.items()},
        }


class _Laps:
    """A stopwatch: `lap` adds to a step what has passed since the last one."""

    def __init__(self) -> None:
        self.start_s: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.start_s[step] = self.start_s.get(step, 0.0) + now - self._since
        self._since = now


def open_model(
    config: ModelConfig,
    device: str,
    fallback: str | None = None,
    module: torch.nn.Module | None = None,
    minutes: bool = False,
) -> OpenedModel:
    """Make a model ready to serve.

    Args:
        config: the model.
        device: `cuda` or `cpu`, as the builder chose.
        fallback: why `auto` did not take a GPU, or None.
        module: the module, if it is already loaded; it is changed in place.
        minutes: whether compiling may take so long, as in a build; else what takes long is used if it was built.

    Raises:
        ModelError: it cannot be loaded, deviates from eager, or still makes one of the five mistakes.
    """
    advice = "correct it there: a start runs the network on rows that it draws, and changes its mode, device and dtype"
    return call_at_start("the network", advice, _open, config, device, fallback, module, minutes)


def _open(
    config: ModelConfig, device: str, fallback: str | None, module: torch.nn.Module | None, minutes: bool
) -> OpenedModel:
    laps, place = _Laps(), pick_device(device)
    config, module = stages.complete(config, module)
    set_arithmetic(plain(config), config.fixed_shapes)
    bound = stages.bind_source(config, module)
    laps.lap("load")
    checked = stages.check_eagerly(bound, plain(config), place)
    config = stages.declared(bound, checked, config)
    laps.lap("check")
    selection = Selection(config, bound.module, bound.samples, checked, minutes=minutes)
    field, failed = field_of(config, device, checked.arithmetic), list[CheckError]()
    for chosen in selection.fastest_first(field):
        laps.lap("compile")
        try:
            checks, warmed = _proved(chosen, checked, config, fallback, laps)
        except CheckError as error:
            if len(field) == 1:
                raise
            _log.warning("%s: %s may not serve: %s", config.name, chosen.candidate, error.what)
            selection.refuse(chosen.candidate, error.what)
            failed.append(error)
            del chosen
            continue
        table = selection.choose(chosen.candidate)
        for each in table if len(table) > 1 else ():
            _log.info("%s: %s", config.name, each.line)
        if config.random:
            # Else replicas would all draw the same, if the factory seeds torch.
            torch.seed()
        warmed.runner.unwarmed = 0  # The start's own rows may be larger than any warmed size.
        times = warmed.forward_ms, laps.start_s
        said = chosen.ready.config.precision, bound.passed, checked.reading.how
        return OpenedModel(config, warmed.runner, chosen.ready.samples, bound.postprocess, checks, *times, *said, table)
    raise failed[0]


def _proved(
    chosen: Contender, checked: Eager, config: ModelConfig, fallback: str | None, laps: _Laps
) -> tuple[Checks, Warmed]:
    """Warm a candidate and run every check; raise a CheckError if it fails one."""
    ready, samples = chosen.ready, chosen.ready.samples
    chosen.use()
    with noting(samples.note):
        warmed = stages.choose_sizes(ready, stages.warm_shapes(chosen))
        laps.lap("warm")
        rows = stages.prove_rows(ready, warmed.runner, checked.reference)
        laps.lap("prove")
        compared = mistake_checks.compilation(
            chosen.compiled,
            warmed.runner,
            checked.reference,
            samples,
            replace(checked.arithmetic, config=ready.config),
            asked=config.backend,
        )
    laps.lap("compare")
    _, best = ends(warmed.forward_ms)
    checks = Checks(
        *rows,
        mistake_checks.warmed_shapes(warmed.runner, config.fixed_shapes),
        compared,
        mistake_checks.device(ready.config, warmed.runner, fallback, best.rows_s),
        mistake_checks.batching(warmed.forward_ms),
    )
    return checks, warmed
