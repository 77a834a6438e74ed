"""A finding of an audit: a mistake, a warning or a hint; where, what it costs here, and the line that fixes it."""

from dataclasses import dataclass
from typing import Any, Literal

from configs.document import Document
from configs.problems import Keys, where
from models.errors import ModelError, first_line

# A start refuses the config, or it makes one of the five mistakes: only these make the audit fail.
Severity = Literal["refusal", "mistake", "warning", "hint"]
_ORDER = {"refusal": 0, "mistake": 1, "warning": 2, "hint": 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """`keys` is the path of the YAML key; `fix` is what to write, as YAML if YAML can fix it."""

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


def refusal(text: str, args: Keys) -> Finding:
    """Return the finding for a config that a start refuses. `text`: its error and help; `args`: the path of args."""
    error = ModelError(text)
    return Finding("refusal", f"a start refuses this config: {error.what}", args, error.help or "correct what is named")


def refusal_text(error: Exception) -> str:
    """Return the text of a start's error: all of a ModelError, with its help; one line of any other."""
    return str(error) if isinstance(error, ModelError) else first_line(error)


def in_order(findings: list[Finding]) -> list[Finding]:
    """Sort refusals first, then mistakes by their number, then warnings, then hints."""
    return sorted(findings, key=lambda each: (_ORDER[each.severity], each.mistake or 9))
