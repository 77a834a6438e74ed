"""One step of the waterfall: a way to run the model, and what it measured. Pure; no torch, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from configs.backends import BACKENDS, EAGER, TORCHSCRIPT
from configs.precisions import first_of
from configs.schema import ModelConfig

from .timing import Timing

# mistake: no way to serve; path: towards the configured setting; option: another setting; batch: as configured, in
# batches.
Kind = Literal["mistake", "path", "option", "batch"]

NEW, PADDED = "shapes-new", "shapes-padded"
# As a replica runs it: after everything that its start does to the compiled forward.
STARTED = "started"
# As a replica would run it with the default backend, if the config has chosen another.
DEFAULT_ONE, DEFAULT_BATCH = "default-1", "default-batch"
_TITLES = ("one row at a time", "in batches, as configured", "other settings", "for comparison")


@dataclass(frozen=True, slots=True)
class ForwardSetting:
    """What a config chooses for the forward."""

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

    def label(self, memory_format: str) -> str:
        """Name it; the memory format only if it is not `memory_format`."""
        parts = [BACKENDS[self.backend].title]
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
class Step:
    """A step that ran, or the reason why it did not.

    `deviation` is from eager, relative; see models.parity. `spread` is the lowest and the highest items a
    second of several runs. `wrong_trace` says why a trace was refused that would be wrong for other
    inputs. `refusal` is what a start says against the config.
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

    @property
    def items_s(self) -> float | None:
        """Items a second at the median forward."""
        return None if self.timing is None else self.spec.rows * 1000 / self.timing.p50_ms

    def as_json(self) -> dict[str, Any]:
        own = asdict(self)
        return {**own.pop("spec"), "items_s": self.items_s, **own}


def setting_of(config: ModelConfig) -> ForwardSetting:
    return ForwardSetting(config.backend, first_of(config.precision), config.memory_format)


def forgone(config: ModelConfig, how: str) -> dict[str, str]:
    """Return the YAML lines of the default backend, if the config has chosen another, where a forward became `how`."""
    if config.backend != TORCHSCRIPT:
        # An exported program is already a graph, which the default backend cannot compile again.
        suits = BACKENDS[config.backend].takes(config.source) and not BACKENDS[TORCHSCRIPT].takes(config.source)
        return {} if suits else {"backend": TORCHSCRIPT}
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


def _group(step: Step) -> int:
    key, kind = step.spec.key, step.spec.kind
    if key.startswith("shapes-") or key == "cpu":
        return 3
    return {"mistake": 0, "path": 0, "batch": 1, "option": 2}[kind]
