"""What a variant of a forward keeps of eager fp32's answers, as data, with its sentence. No torch here.

Every figure comes with the number of rows that it rests on: 0.999 of 100 rows is a guess.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from configs.accept import AcceptConfig

# A share that is counted is exact but for the last bit of its quotient.
_LAST_BIT = 1e-9


@dataclass(frozen=True, slots=True)
class Figures:
    """How near an output is to eager fp32's over `rows` rows; None where a measure does not fit it.

    `agreed` of `compared` answers have their highest entry where eager's have it, or are equal if they are whole
    numbers: answers are rows, and of a float output [rows, places, entries] places. `unlike` rows have NaN or infinity
    where eager has none, or the other way, or another size.
    """

    output: str
    rows: int
    unlike: int = 0
    agreed: int | None = None
    compared: int | None = None
    cosine: float | None = None
    deviation: float | None = None

    @property
    def agreement(self) -> float | None:
        return self.agreed / self.compared if self.agreed is not None and self.compared else None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many labelled rows an output answers right, and how many eager fp32 does."""

    output: str
    rows: int
    right: int
    reference_right: int
    at_least: float

    @property
    def share(self) -> float:
        return self.right / self.rows if self.rows else 0.0

    @property
    def holds(self) -> bool:
        return self.rows > 0 and self.share >= self.at_least - _LAST_BIT

    @property
    def sentence(self) -> str:
        if not self.rows:
            return "no labelled row was measured"
        asked = _asked(self.at_least, self.holds, "below")
        found = f"{_down(self.share)} of {_rows(self.rows, 'labelled row')} right{asked}"
        found += f", eager fp32 {_down(self.reference_right / self.rows)}"
        needed = shown_by(self.at_least)
        return f"{found}; {self.at_least:.15g} takes {needed:,} rows to show" if needed > self.rows else found


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether a variant keeps what the config asks, at the batch sizes `sizes`; `source` says whose rows they were."""

    check: ClassVar[str] = "accept"
    mistake: ClassVar[int] = 3
    code: Literal["passed", "failed"]
    rows: int
    source: str
    sizes: tuple[int, ...]
    asked: dict[str, float]
    figures: tuple[Figures, ...]
    accuracy: Accuracy | None = None

    @property
    def sentence(self) -> str:
        parts = [_part(*each) for each in _findings(self.asked, self.figures)]
        parts += [self.accuracy.sentence] if self.accuracy is not None else []
        said = f"{_rows(self.rows, self.source)}: {', '.join(parts)}"
        if unlike := [each for each in self.figures if each.unlike]:
            said += "".join(
                f"; {_rows(each.unlike, 'row')} of {each.output!r} with NaN, infinity or a size that eager's have not"
                for each in unlike
            )
        needed = shown_by(self.asked.get("agreement"))
        # Of rows that were asked for several times, one time counts.
        fewest = min((each.compared * self.rows // each.rows for each in self.figures if each.compared), default=0)
        if needed > fewest:
            said += f"; {self.asked['agreement']:.15g} takes {needed:,} answers to show: of {fewest:,} all must agree"
        return said


def measures(accept: AcceptConfig) -> dict[str, float]:
    """Return what is asked of the outputs, by the key that asks it."""
    asked = {"agreement": accept.agreement, "cosine": accept.cosine, "tolerance": accept.tolerance}
    return {name: value for name, value in asked.items() if value is not None}


def accepted(
    accept: AcceptConfig,
    rows: int,
    source: str,
    sizes: Sequence[int],
    figures: Sequence[Figures],
    accuracy: Accuracy | None,
) -> Acceptance:
    """Return the result of these figures: passed if every measure that is asked holds for every output that it fits."""
    asked = measures(accept)
    holds = all(each[-1] for each in _findings(asked, figures)) and not any(each.unlike for each in figures)
    if accuracy is not None:
        holds &= accuracy.holds
    return Acceptance("passed" if holds else "failed", rows, source, tuple(sizes), asked, tuple(figures), accuracy)


def shown_by(agreement: float | None) -> int:
    """Return how many answers can show a share below which one of them may differ; 0 where none or all must agree."""
    return 0 if agreement is None or agreement >= 1 else math.ceil(round(1 / (1 - agreement), 6))


_Finding = tuple[str, str, float | None, float, bool]


def _findings(asked: dict[str, float], figures: Sequence[Figures]) -> Iterator[_Finding]:
    """Yield each measure that is asked, the output that is worst by it, its figure there, what is asked, and whether it
    holds.
    """
    for measure, limit in asked.items():
        upper = measure == "tolerance"
        found = [(_value(each, measure), each.output) for each in figures]
        values = [(value, output) for value, output in found if value is not None]
        if not values:
            yield measure, "", None, limit, False
            continue
        value, output = max(values) if upper else min(values)
        holds = value <= limit if upper else value >= limit - _LAST_BIT * (measure == "agreement")
        yield measure, output if len(values) > 1 else "", value, limit, holds


def _value(figures: Figures, measure: str) -> float | None:
    value: float | None = getattr(figures, "deviation" if measure == "tolerance" else measure)
    return value


def _part(measure: str, output: str, value: float | None, limit: float, holds: bool) -> str:
    name = {"agreement": "agreement", "cosine": "smallest cosine", "tolerance": "largest deviation"}[measure]
    if value is None:
        return f"{name}: nothing to compare"
    upper = measure == "tolerance"
    of = f" of {output!r}" if output else ""
    return (
        f"{name}{of} {f'{value:.2g}' if upper else _down(value)}{_asked(limit, holds, 'above' if upper else 'below')}"
    )


def _asked(limit: float, holds: bool, side: str) -> str:
    return f" ({limit:.15g} asked)" if holds else f", {side} the {limit:.15g} asked"


def _down(share: float) -> str:
    """Write a share with five digits, rounded down: what is not 1 must not look it."""
    return f"{math.floor(share * 1e5 + 1e-4) / 1e5:.5f}"


def _rows(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
