"""A model that may serve: what runs, what its start checked, and how long everything took."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from configs.backends import EAGER
from configs.schema import ModelConfig

from ..runtime.runner import Runner
from ..signature import Shape, label
from ..sources.hooks import Hook
from .acceptance_result import Acceptance
from .candidates import Candidate, Tried
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
from .sample_inputs import SampleInputs

THIS_START = "this start"


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
    # What the config's `accept` asks; None without one.
    acceptance: Acceptance | None = None

    @classmethod
    def of(cls, results: Iterable[CheckResult]) -> "Checks":
        """Return the checks of such results; raise KeyError where one is missing."""
        of: dict[type[CheckResult], Any] = {type(each): each for each in results}
        proved = of[InferenceMode], of[Padding], of[CoBatchedRows]
        return cls(*proved, of[WarmedShapes], of[Compilation], of[Device], of[Batching], of.get(Acceptance))

    @property
    def results(self) -> tuple[CheckResult, ...]:
        own = (self.inference_mode, self.padding, self.co_batched_rows)
        near = () if self.acceptance is None else (self.acceptance,)
        return (*own, self.warmed_shapes, self.compilation, *near, self.device, self.batching)


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
    # Whose results the checks and the comparison are.
    checked_by: str = THIS_START

    @property
    def how(self) -> str:
        """What runs: eager, script, trace, or the backend's name."""
        return self.checks.compilation.how

    @property
    def chosen(self) -> Candidate:
        """The backend and the precision that serve."""
        return Candidate(EAGER if self.checks.compilation.how == EAGER else self.candidates[0].backend, self.precision)

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
            "checked_by": self.checked_by,
            "start_s": {step: round(took_s, 2) for step, took_s in self.start_s.items()},
        }
