"""How an audit looks at a model, and what it sees: what its code, its answers and its timings show. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from configs.loader import ModelApp
from configs.problems import Keys

from .finding import Finding
from .step import Head, Step

BUDGET_S, QUICK_BUDGET_S = 1.5, 0.3
# A step that has not ended by then hangs: torch.compile may take minutes, and a start warms every size.
LIMIT_S = 900.0
LOADING, PROVING = Head("loading", "loading", "path"), Head("proving", "proving", "path")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each step may take, and whether those that first compile for long are run at all.

    `announce` is told of a step ahead of it. `known` are steps that another process ran, or ended in.
    """

    budget_s: float = BUDGET_S
    quick: bool = False
    announce: Callable[[Head], None] = lambda _: None
    known: Mapping[str, Step] = field(default_factory=dict)
    limit_s: float = LIMIT_S


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model showed on its device; the part of an audit that takes time.

    `ops_per_row` is as model_findings has it, `planned` how many steps there are to be.
    """

    device: str
    found: tuple[Finding, ...]
    steps: tuple[Step, ...]
    ops_per_row: float = 0.0
    planned: int = 0


Look = Callable[[ModelApp, Keys, Pace], Iterator[Sight]]
