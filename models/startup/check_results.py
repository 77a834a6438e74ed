"""The results of a start's checks, as data, each with its sentence. No torch here.

Each class is one check, and says which of the five mistakes it is about. A code is one of these:

    passed          the check passed
    failed          it failed, and the start ends (Failed)
    measured        there is no limit: the operator judges the figure
    not_applicable  there is nothing to check; `reason` says why
    waived          a key of the config, `waived_by`, allows more than the check itself would: up to `allowed`; or
                    nothing is compared, and `reason` says why
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter

from configs.backends import TORCHSCRIPT, backend_of

from ..compile.refused import Made, Refused, sentences
from .acceptance_result import Acceptance

Code = Literal["passed", "failed", "measured", "not_applicable", "waived"]
MARKS = {"passed": "✓", "measured": "✓", "not_applicable": "-", "waived": "!", "failed": "✗"}
_BACKEND = {"script": TORCHSCRIPT, "trace": TORCHSCRIPT}
_HOW = {"script": "TorchScript, scripted", "trace": "TorchScript, traced"}
_MADE = {"now": "made in this start", "before": "loaded from the cache", "file": "loaded from the model's file"}


@dataclass(frozen=True, slots=True)
class InferenceMode:
    """Nothing trains or records gradients, and the same rows get the same answers twice; from a seed if `random`."""

    check: ClassVar[str] = "inference mode"
    mistake: ClassVar[int] = 1
    code: Code = "passed"
    random: bool = False

    @property
    def sentence(self) -> str:
        seed = " with the same seed" if self.random else ""
        return f"eval mode, no gradients, and the same answer to the same rows twice{seed}"


@dataclass(frozen=True, slots=True)
class Padding:
    """How far padding changes a row's answer, relative to its largest value; or a size that was not warmed."""

    check: ClassVar[str] = "padding"
    mistake: ClassVar[int] = 1
    code: Code
    deviation: float | None = None
    reason: str = ""
    waived_by: str = ""
    allowed: float | None = None

    @property
    def sentence(self) -> str:
        return self.reason or f"with padding an answer {_changes(self)}{_waived(self)}"


@dataclass(frozen=True, slots=True)
class CoBatchedRows:
    """How far the other rows of its batch change a row's answer, relative to its largest value."""

    check: ClassVar[str] = "co-batched rows"
    mistake: ClassVar[int] = 1
    code: Code
    deviation: float | None = None
    reason: str = ""
    waived_by: str = ""
    allowed: float | None = None

    @property
    def sentence(self) -> str:
        return self.reason or f"beside other rows an answer {_changes(self)}{_waived(self)}"


@dataclass(frozen=True, slots=True)
class WarmedShapes:
    """Every batch shape ran before the first request. `autotuning` is cuDNN's; None without a GPU.

    `whole`: batches are not padded to these shapes, since the rows of a request belong together.
    """

    check: ClassVar[str] = "warmed shapes"
    mistake: ClassVar[int] = 2
    code: Code
    shapes: int
    autotuning: bool | None
    whole: bool = False
    # How many of them ran in this start, where an earlier one of the same model ran the others; None: all did.
    ran: int | None = None

    @property
    def sentence(self) -> str:
        cudnn = "no GPU, so no cuDNN"
        if self.autotuning is not None:
            cudnn = f"cuDNN autotuning is {'on: they are fixed' if self.autotuning else 'off: a size is open'}"
        others = "; a request of any other number of rows runs as it is" if self.whole else ""
        ran = f"all {self.shapes} ran before the first request"
        if self.ran is not None and self.ran < self.shapes:
            ran = f"{self.ran} of {self.shapes} ran in this start, all in the one that checked the model"
        return f"{ran}{others}; {cudnn}"


@dataclass(frozen=True, slots=True)
class Compilation:
    """The compiled forward answers as eager does, at every warmed size.

    `how` is what runs (eager, script, trace, or the backend's name), `graphs` the number of shapes with a CUDA graph.
    `deviation` is from eager in the arithmetic `reference`; `precision_reason` says why that is not the config's.
    `random`: both drew random numbers from the same seed.
    """

    check: ClassVar[str] = "compilation"
    mistake: ClassVar[int] = 3
    code: Code
    asked: str
    how: str
    made: Made
    refused: tuple[Refused, ...]
    graphs: int
    deviation: float
    reference: str
    precision_reason: str = ""
    waived_by: str = ""
    allowed: float | None = None
    random: bool = False

    @property
    def sentence(self) -> str:
        runs = _HOW.get(self.how) or backend_of(self.how).title
        if backend_of(_BACKEND.get(self.how, self.how)).artefact:
            runs += f", {_MADE[self.made]}"
        if self.graphs:
            runs += f", {self.graphs} shape{'s' * (self.graphs > 1)} as CUDA graphs"
        near = f"within {self.deviation:.1e} of" if self.deviation else "equal to"
        of = f"eager {self.reference}{' from the same seed' if self.random else ''} at every warmed size"
        parts = [runs, f"{near} {of}"]
        if self.waived_by == "random":
            parts = [runs, "not compared with eager: it draws other numbers from the same seed; waived by random"]
        if self.refused:
            parts.append(f"asked for {backend_of(self.asked).title}: {sentences(self.refused)}")
        if self.precision_reason:
            parts.append(f"runs {self.precision_reason}")
        return "; ".join(parts) + _waived(self)


@dataclass(frozen=True, slots=True)
class Device:
    """Where the model runs, and its best rate there. `fallback`: why `auto` did not take a GPU."""

    check: ClassVar[str] = "device"
    mistake: ClassVar[int] = 4
    code: Code
    asked: str
    name: str
    rows_s: float
    fallback: str | None

    @property
    def sentence(self) -> str:
        fallback = f"; FALLBACK: {self.fallback}" if self.fallback else ""
        return f"{self.name}, asked for {self.asked}{fallback}; {self.rows_s:,.0f} rows/s measured"


@dataclass(frozen=True, slots=True)
class Batching:
    """Rows a second at the smallest warmed batch size and at the fastest, at the smallest sizes."""

    check: ClassVar[str] = "batching"
    mistake: ClassVar[int] = 5
    code: Code
    least_rows: int
    least_rows_s: float
    best_rows: int
    best_rows_s: float
    ratio: float
    reason: str = ""

    @property
    def sentence(self) -> str:
        if self.reason:
            return f"{self.reason}; {self.best_rows_s:,.0f} rows/s"
        least = "one by one" if self.least_rows == 1 else f"in batches of {self.least_rows}"
        if self.best_rows == self.least_rows:
            return f"no batch size is faster than {least} ({self.least_rows_s:,.0f} rows/s)"
        rates = f"{self.best_rows_s:,.0f} against {self.least_rows_s:,.0f} rows/s at batch size {self.best_rows}"
        return f"{self.ratio:.1f} times faster than {least} ({rates})"


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed check: the start has ended with a CheckError."""

    check: str
    mistake: int
    sentence: str
    code: Code = "failed"


CheckResult = (
    InferenceMode | Padding | CoBatchedRows | WarmedShapes | Compilation | Acceptance | Device | Batching | Failed
)
_RESULTS: dict[str, type[CheckResult]] = {
    each.check: each
    for each in (InferenceMode, Padding, CoBatchedRows, WarmedShapes, Compilation, Acceptance, Device, Batching)
}


def line(result: CheckResult) -> str:
    """Return `✓ batching: 7.8 times faster than one by one (…)`."""
    return f"{MARKS[result.code]} {result.check}: {result.sentence}"


def as_json(result: CheckResult) -> dict[str, Any]:
    """Return the check's name, code, figures and sentence."""
    return {"check": result.check, "mistake": result.mistake, **asdict(result), "sentence": result.sentence}


def from_json(shown: Mapping[str, Any]) -> CheckResult:
    """Return a result that `as_json` made plain values of; raise KeyError or ValueError if it is of another form."""
    found: CheckResult = TypeAdapter(_RESULTS[shown["check"]]).validate_json(json.dumps(shown), strict=True)
    return found


def _changes(result: Padding | CoBatchedRows) -> str:
    return f"changes by at most {result.deviation:.1e} of its size" if result.deviation else "stays the same"


def _waived(result: Padding | CoBatchedRows | Compilation) -> str:
    return f"; allowed by {result.waived_by}: {result.allowed:.15g}" if result.waived_by and result.allowed else ""
