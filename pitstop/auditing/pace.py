"""How an audit goes about its steps: how long each may take, and what is known of them beforehand. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
