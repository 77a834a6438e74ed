"""What examining one model takes and returns: how long a step may take, and the findings and steps so far. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from configs.loader import ModelApp
from configs.problems import Keys
from models.compile.refused import Refused

from .finding import Finding
from .step import ForwardSetting, Step, StepSpec

BUDGET_S, QUICK_BUDGET_S = 1.5, 0.3
# A step that takes longer hangs. So long, because a start compares several candidates, each compiled in minutes.
LIMIT_S = 1800.0
LOADING, PROVING = StepSpec("loading", "loading", "path"), StepSpec("proving", "proving", "path")
CHOOSING = StepSpec("choosing", "what a start chooses", "path")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a start chooses, where the config leaves it a choice.

    `compared` has a line for each candidate; `refused` is why nothing faster than eager could be made.
    """

    setting: ForwardSetting
    compared: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to time each step; `quick` leaves out those that first compile for minutes.

    `announce` is called ahead of each step. `known` are steps that another process ran, or that ended it; `choice` is
    what it found that a start chooses.
    """

    step_s: float = BUDGET_S
    quick: bool = False
    announce: Callable[[StepSpec], None] = lambda _: None
    known: Mapping[str, Step] = field(default_factory=dict)
    choice: Choice | None = None
    limit_s: float = LIMIT_S


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What was found and measured of one model; the part of an audit that takes time.

    `ops_per_row` is as model_findings has it, `planned` the number of steps that there will be. `choice` is what a
    start chooses; None where the config leaves no choice.
    """

    device: str
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]
    ops_per_row: float = 0.0
    planned: int = 0
    choice: Choice | None = None


ExamineModel = Callable[[ModelApp, Keys, Budget], Iterator[AuditResult]]
