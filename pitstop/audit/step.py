"""One step of the waterfall: a way to run the model, and what it measured. Pure; no torch, no clock."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from configs.accept import AcceptConfig
from configs.backends import AUTO, EAGER, backend_of, titled
from configs.precisions import first_of
from configs.schema import ModelConfig

from .timing import Timing

# mistake: no way to serve; path: towards the configured setting; option: another setting; batch: as configured, in
# batches.
Kind = Literal["mistake", "path", "option", "batch"]

NEW, PADDED = "shapes-new", "shapes-padded"
# As a replica runs it: after everything that its start does to the compiled forward.
STARTED = "started"
# As a replica would run it with the default, `backend: auto`, if the config has chosen a backend.
DEFAULT_ONE, DEFAULT_BATCH = "default-1", "default-batch"
_TITLES = ("one row at a time", "in batches, as configured", "other settings", "for comparison")


@dataclass(frozen=True, slots=True)
class ForwardSetting:
    """What a config, or a start of it, chooses for the forward."""

    backend: str
    precision: str
    memory_format: str

    @property
    def lines(self) -> dict[str, str]:
        """The YAML keys that choose it."""
        return asdict(self)

    @property
    def key(self) -> str:
        return "-".join(self.lines.values())

    @property
    def name(self) -> str:
        return titled(self.backend, self.precision)

    def label(self, memory_format: str) -> str:
        """Name it; the memory format only if it is not `memory_format`."""
        parts = [backend_of(self.backend).title]
        parts += [self.precision] * (self.precision != "fp32")
        parts += [self.memory_format] * (self.memory_format != memory_format)
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class StepSpec:
    """How a step is named, before it is run. `rows` is how many share one forward."""

    key: str
    label: str
    kind: Kind
    rows: int = 1
    setting: ForwardSetting | None = None


@dataclass(frozen=True, slots=True)
class Near:
    """How near answers are to eager fp32's over so many rows; None where no output has such a measure."""

    rows: int
    agreement: float | None
    cosine: float | None
    deviation: float

    @property
    def accept(self) -> dict[str, float]:
        """The `accept` that they pass, in round numbers; never 1, which a few rows cannot show."""
        found = {"agreement": _down(self.agreement, 3), "cosine": _down(self.cosine, 4)}
        return {key: value for key, value in found.items() if value is not None} | {"tolerance": _up(self.deviation)}

    def passes(self, accept: AcceptConfig) -> bool:
        """Whether they are as near as `accept` asks; what was not measured is not asked here."""
        pairs = (self.agreement, accept.agreement), (self.cosine, accept.cosine)
        enough = all(value >= least for value, least in pairs if value is not None and least is not None)
        return enough and (accept.tolerance is None or self.deviation <= accept.tolerance)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that ran, or the reason why it did not.

    `deviation` is from eager, relative; see models.parity. `spread` is the lowest and the highest items a
    second of several runs. `wrong_trace` says why a trace was refused that would be wrong for other
    inputs. `refusal` is what a start says against the config. `near` is of another precision than the config's.
    """

    spec: StepSpec
    timing: Timing | None = None
    peak_mib: float | None = None
    deviation: float | None = None
    how: str = ""
    note: str = ""
    wrong_trace: str = ""
    skipped: str = ""
    spread: tuple[float, float] | None = None
    refusal: str = ""
    near: Near | None = None

    @property
    def items_s(self) -> float | None:
        """Items a second at the median forward."""
        return None if self.timing is None else self.spec.rows * 1000 / self.timing.p50_ms

    def as_json(self) -> dict[str, Any]:
        own = asdict(self)
        return {**own.pop("spec"), "items_s": self.items_s, **own}


def setting_of(config: ModelConfig) -> ForwardSetting:
    """Return what a config names; for what it leaves to the start, Choice has the rest."""
    return ForwardSetting(config.backend, first_of(config.precision), config.memory_format)


def forgone(config: ModelConfig, how: str) -> dict[str, str]:
    """Return the YAML lines of the default, if the config gives it up, where a forward became `how`.

    A backend whose compiled models are kept gives nothing up; a faster one is a hint.
    """
    if config.backend != AUTO and not backend_of(config.backend).artefact:
        return {"backend": AUTO}
    return {"torchscript": "auto"} if how == EAGER and config.torchscript != "auto" else {}


def fastest(steps: Iterable[Step | None]) -> Step | None:
    """Return the step with the most items a second."""
    return max((step for step in steps if step and step.timing), key=lambda step: step.items_s or 0, default=None)


def ran(steps: Iterable[Step]) -> list[tuple[Step, Timing]]:
    """Return the steps that were measured, each with its timing."""
    return [(step, step.timing) for step in steps if step.timing is not None]


def configured(steps: Iterable[Step], here: ForwardSetting) -> Step | None:
    """Return the step of one row that runs as the config says, if it was measured."""
    found = [step for step, _ in ran(steps) if step.spec.setting == here and step.spec.kind == "path"]
    return found[-1] if found else None


def batches(steps: Iterable[Step]) -> list[Step]:
    """Return the measured steps of more than one row that run as the config says."""
    return [step for step, _ in ran(steps) if step.spec.key.startswith("batch-")]


def find(steps: Iterable[Step], key: str) -> Step | None:
    """Return the step of this key, if it was measured."""
    return next((step for step, _ in ran(steps) if step.spec.key == key), None)


@dataclass(frozen=True, slots=True)
class Group:
    """Steps under one heading."""

    title: str
    steps: tuple[Step, ...]


def grouped(steps: Sequence[Step]) -> list[Group]:
    """Return the groups that have a step, in order."""
    found: dict[str, list[Step]] = {title: [] for title in _TITLES}
    for step in steps:
        found[_TITLES[_group(step)]].append(step)
    return [Group(title, tuple(each)) for title, each in found.items() if each]


def _down(value: float | None, digits: int) -> float | None:
    return None if value is None else min(math.floor(value * 10**digits), 10**digits - 1) / 10**digits


def _up(value: float) -> float:
    """Return the next number of one digit; one that is as good as none is written as 1e-06."""
    if value <= 1e-6:
        return 1e-6
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(round(value / unit, 6)) * unit:.0e}")


def _group(step: Step) -> int:
    key, kind = step.spec.key, step.spec.kind
    if key.startswith("shapes-") or key == "cpu":
        return 3
    return {"mistake": 0, "path": 0, "batch": 1, "option": 2}[kind]
