"""What an audit knows of one model: what its device showed, and what was made of that. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from configs.loader import ModelApp
from configs.problems import Keys

from .case import Case
from .finding import Finding
from .mistakes import NOT_MEASURED, UNCLEAR, Verdict
from .pace import Pace
from .step import Step


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model showed on its device; the part of an audit that takes time.

    `ops_per_row` is as auditing.row_ops has it, `planned` how many steps there are to be.
    """

    device: str
    found: tuple[Finding, ...]
    steps: tuple[Step, ...]
    ops_per_row: float = 0.0
    planned: int = 0


Look = Callable[[ModelApp, Keys, Pace], Iterator[Sight]]


@dataclass(frozen=True, slots=True)
class Examined:
    """One model's audit.

    `unmeasured` says why there are no steps, `broken` that there should be some, `twin` whose steps these are, and
    `cut` that Ctrl-C came before the last of them.
    """

    case: Case
    threads: int
    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...]
    unmeasured: str = ""
    broken: bool = False
    twin: str = ""
    cut: bool = False
    planned: int = 0

    @property
    def made(self) -> int:
        return sum(finding.severity == "mistake" for finding in self.findings)

    @property
    def refused(self) -> bool:
        """Whether a start refuses the config."""
        return any(finding.severity == "refusal" for finding in self.findings)

    @property
    def unclear(self) -> list[int]:
        """The mistakes of which the figures say too little."""
        return [each.number for each in self.verdicts if each.word == UNCLEAR]

    @property
    def judged(self) -> Literal["bad", "open", "good"]:
        """Whether the model may be deployed, as far as this audit went."""
        if self.made or self.refused or self.broken:
            return "bad"
        return "open" if self.unmeasured or self.cut or self.unclear else "good"

    @property
    def verdict(self) -> str:
        """The last line of the audit."""
        found = ["a start refuses this config"] * self.refused
        found += [f"{self.made} mistake{'s' * (self.made > 1)} still made"] * bool(self.made)
        said = "; ".join(found)
        if self.cut:
            steps = len(self.case.steps)
            return f"stopped: {said or 'nothing found'} in {steps} of {max(steps, self.planned) or 'all'} steps"
        if self.unclear and not said:
            return f"no mistake shown; mistake {self.unclear[0]} is unclear: repeat it when the machine is idle"
        return said or (NOT_MEASURED if self.unmeasured else "none of the five mistakes")
