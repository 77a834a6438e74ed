"""What an audit has to say: a mistake, a warning or a hint; where, what it costs here, and the line that fixes it."""

from dataclasses import dataclass
from typing import Any, Literal

from configs.document import Document
from configs.problems import Keys, where

# Only a mistake, one of the five, makes the audit fail.
Severity = Literal["mistake", "warning", "hint"]
_ORDER = {"mistake": 0, "warning": 1, "hint": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """`keys` leads to the YAML key; `fix` is what to write, in YAML where YAML can mend it."""

    severity: Severity
    what: str
    keys: Keys
    fix: str
    cost: str = ""
    mistake: int | None = None

    def as_json(self, document: Document) -> dict[str, Any]:
        return {
            "severity": self.severity,
            "mistake": self.mistake,
            "place": document.place(self.keys),
            "key": where(document.raw, self.keys),
            "what": self.what,
            "cost": self.cost,
            "fix": self.fix,
        }


def in_order(findings: list[Finding]) -> list[Finding]:
    """Sort the mistakes first, by their number, then warnings, then hints."""
    return sorted(findings, key=lambda each: (_ORDER[each.severity], each.mistake or 9))
